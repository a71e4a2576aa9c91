"""Ranking metrics, which need no threshold: they measure how well scores rank labelled windows before the others.

AUC-PR compares window by window. VUS-PR, the volume under the surface of precision and recall, tolerates labels that
are slightly off: windows near a labelled span count partly, and the result is the mean over several sizes of that
buffer.

Source of VUS-PR: Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin: Volume Under the Surface, PVLDB 15(11), 2022,
with the refinements of their package ``vus`` (version "opt") that the benchmark TSB-AD (NeurIPS 2024) uses too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.evaluation.spans import spans

if TYPE_CHECKING:
    import numpy.typing as npt

    Booleans = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["LARGEST_BUFFER", "auc_pr", "vus_pr"]

LARGEST_BUFFER = 100
"""Windows; the value that TSB-AD uses for series without a period."""

_THRESHOLDS = 250


def auc_pr(labels: Booleans, scores: Floats) -> float:
    """Return the area under the curve of precision and recall, computed as average precision.

    Parameters
    ----------
    labels
        True for each anomalous window, shape ``(n_windows,)``, bool.
    scores
        Scores, shape ``(n_windows,)``, float64; higher is more anomalous, NaN ranks last.

    Returns
    -------
    float
        0-1; random scores give the share of labelled windows; NaN without a label.
    """
    if not labels.any():
        return float("nan")
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, _ranked(scores)))


def vus_pr(labels: Booleans, scores: Floats, *, largest_buffer: int = LARGEST_BUFFER) -> float:
    """Return the volume under the surface of precision and recall.

    For each buffer ``b`` from 0 to ``largest_buffer``, the ``b // 2`` windows on either side of a labelled span count
    as anomalous with the weight ``sqrt(1 - distance / b)``. Recall is multiplied by the share of spans, including their
    buffers, that have a window above the threshold; spans whose buffers touch are merged. The thresholds are 250 of the
    scores, evenly spaced by rank.

    Parameters
    ----------
    labels
        True for each anomalous window, shape ``(n_windows,)``, bool.
    scores
        Scores, shape ``(n_windows,)``, float64; higher is more anomalous, NaN ranks last.
    largest_buffer
        Largest buffer, in windows.

    Returns
    -------
    float
        0-1; NaN without a label.
    """
    n_labelled = int(np.count_nonzero(labels))
    if not n_labelled:
        return float("nan")
    ranked = _ranked(scores)
    thresholds = -np.sort(-ranked)[np.linspace(0, len(ranked) - 1, _THRESHOLDS).astype(np.int64)]
    # Position of the first threshold, from the highest, that each window reaches.
    reached = np.searchsorted(-thresholds, -ranked, side="left")
    n_flagged = _up_to(reached)
    found = _up_to(reached[labels])
    firsts, lasts = spans(labels)
    nearest, second = _distances(labels, firsts, lasts)
    near = np.flatnonzero(nearest <= largest_buffer // 2)
    nearest, second, reached_near = nearest[near], second[near], reached[near]
    volume = 0.0
    for buffer in range(largest_buffer + 1):
        reach = buffer // 2
        if reach:
            # Between two spans that are this close, the sum of their weights exceeds one and is limited to one.
            weights = np.where(second <= reach, 1.0, np.sqrt(np.maximum(1.0 - nearest / buffer, 0.0)))
            beside = _up_to(reached_near, np.where(nearest <= reach, weights, 0.0))
        else:
            beside = np.zeros(_THRESHOLDS)
        true = found + beside
        recall = np.minimum(true / (n_labelled + beside / 2), 1.0) * _share_met(reached, firsts, lasts, reach)
        volume += float(np.sum(np.diff(recall, prepend=0.0) * true / n_flagged))
    return volume / (largest_buffer + 1)


def _ranked(scores: Floats) -> Floats:
    """Return the ranks of the scores, ascending; NaN has the lowest rank."""
    return np.unique(np.where(np.isnan(scores), -np.inf, scores), return_inverse=True)[1].astype(np.float64)


def _up_to(reached: Integers, weights: Floats | None = None) -> Floats:
    """Return the total weight of the windows that reach each threshold, shape ``(250,)``."""
    return np.cumsum(np.bincount(reached, weights, minlength=_THRESHOLDS)).astype(np.float64)


def _distances(labels: Booleans, firsts: Integers, lasts: Integers) -> tuple[Floats, Floats]:
    """Return each window's distances to the nearest and the second nearest span; infinite for labelled windows."""
    place = np.arange(len(labels))
    following = np.searchsorted(firsts, place)
    ends = np.concatenate(([-np.inf, -np.inf], lasts))
    starts = np.concatenate((firsts, [np.inf, np.inf]))
    four = np.sort(
        [
            place - ends[following + 1],
            place - ends[following],
            starts[following] - place,
            starts[following + 1] - place,
        ],
        axis=0,
    )
    return np.where(labels, np.inf, four[0]), np.where(labels, np.inf, four[1])


def _share_met(reached: Integers, firsts: Integers, lasts: Integers, reach: int) -> Floats:
    """Return the share of spans, including buffers, with a window above each threshold, shape ``(250,)``."""
    apart = lasts[:-1] + reach < firsts[1:] - reach
    begin = np.maximum(firsts[np.concatenate(([True], apart))] - reach, 0)
    end = np.minimum(lasts[np.concatenate((apart, [True]))] + reach + 1, len(reached))
    # One more value, because the last span may end with the series.
    padded = np.append(reached, _THRESHOLDS)
    first_met = np.minimum.reduceat(padded, np.column_stack((begin, end)).ravel())[::2]
    return _up_to(first_met) / len(begin)
