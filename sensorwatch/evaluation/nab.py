"""Score of the Numenta Anomaly Benchmark (NAB), standard profile.

An anomaly window adds up to 1, more for an earlier first detection in it, or -1 if there is no detection in it. A
detection outside all anomaly windows subtracts up to 0.11, less if it closely follows one. One threshold for all series
is chosen so that the sum is largest. The score is 100 if every anomaly window is detected at its first window without a
false detection, 0 if nothing is detected, and negative if there are many false detections. The first 15 % of a series,
at most 750 windows, are probation, and don't count.

Source: Lavin, Ahmad: Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly Benchmark, ICMLA 2015.
The position in the window, the normalisation of a hit and the probation are those of NAB's runner since version 1.1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.evaluation.spans import spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Booleans = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["NAB_HOLD", "NabScore", "nab_score", "probation"]

NAB_HOLD = 100
"""Windows after a detection in which an alarm is not counted again, because NAB counts each false detection."""

_HIT = 1.0
_MISS = 1.0
_FALSE = 0.11
_PROBATION = 0.15
_LONGEST_COUNTED = 5000
_AT_ONCE = math.tanh(2.5)
"""Value of the sigmoid at the first window of an anomaly."""

_FARTHEST = 3.0
"""Distance behind an anomaly window, in widths of it, from which a false detection has its full cost."""


class NabScore(NamedTuple):
    """NAB score of a detector.

    Attributes
    ----------
    score
        100 is perfect, 0 is the score without any detection; NaN if nothing is labelled after probation.
    threshold
        Lowest score that counts as a detection; infinite if no detection at all gives the best score.
    """

    score: float
    threshold: float


def probation(n_windows: int) -> int:
    """Return the number of windows at the beginning of a series that don't count.

    Examples
    --------
    >>> probation(1000), probation(100_000)
    (150, 750)
    """
    return int(_PROBATION * min(n_windows, _LONGEST_COUNTED))


def nab_score(series: Iterable[tuple[Booleans, Floats]]) -> NabScore:
    """Return the NAB score of a detector over several series.

    Parameters
    ----------
    series
        Labels (bool) and scores (float64) of each whole series, both of shape ``(n_windows,)``. A higher score is more
        anomalous, on one scale for all series; NaN is never a detection.
    """
    parts = [_changes(labels, scores) for labels, scores in series]
    n_anomalies = sum(n for _, _, n in parts)
    if not n_anomalies:
        return NabScore(float("nan"), float("inf"))
    scores = np.concatenate([each for each, _, _ in parts])
    changes = np.concatenate([each for _, each, _ in parts])
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    totals = -_MISS * n_anomalies + np.cumsum(changes[order])
    # Windows with equal scores can only be detections together.
    whole = np.flatnonzero(np.diff(scores, append=-np.inf) != 0)
    best, threshold = -_MISS * n_anomalies, float("inf")
    if len(whole) and totals[whole].max() > best:
        at = whole[np.argmax(totals[whole])]
        best, threshold = float(totals[at]), float(scores[at])
    return NabScore(100.0 * (best + _MISS * n_anomalies) / ((_HIT + _MISS) * n_anomalies), threshold)


def _changes(labels: Booleans, scores: Floats) -> tuple[Floats, Floats, int]:
    """Return the scores, the change of the total as each window becomes a detection, and the number of anomalies."""
    start = probation(len(labels))
    firsts, lasts = spans(labels)
    changes = _false_detections(labels, firsts, lasts)
    firsts, lasts = firsts[lasts >= start], lasts[lasts >= start]
    for first, last in zip(firsts, lasts, strict=True):
        place = np.arange(max(first, start), last + 1)
        worth = _HIT * _sigmoid(-(last - place + 1) / (last - first + 1)) / _AT_ONCE
        order = place[np.argsort(-np.nan_to_num(scores[place], nan=-np.inf), kind="stable")]
        # The earliest detection counts, so a lower threshold never lowers the worth of an anomaly window.
        reached = np.maximum.accumulate(worth[order - place[0]])
        changes[order] = np.diff(reached, prepend=-_MISS)
    counted = np.arange(len(labels)) >= start
    counted &= ~np.isnan(scores)
    return scores[counted], changes[counted], len(firsts)


def _false_detections(labels: Booleans, firsts: Integers, lasts: Integers) -> Floats:
    """Return the cost of a detection at each window, as if it were outside all anomaly windows."""
    place = np.arange(len(labels))
    behind = np.searchsorted(lasts, place) - 1
    widths = np.maximum(lasts - firsts, 1).astype(np.float64)
    position = np.full(len(labels), _FARTHEST)
    after = behind >= 0
    position[after] = (place[after] - lasts[behind[after]]) / widths[behind[after]]
    return _FALSE * np.where(position < _FARTHEST, _sigmoid(position), -1.0)


def _sigmoid(position: Floats) -> Floats:
    """Return NAB's scaled sigmoid: near 1 a width before the end of the window, 0 at its end, near -1 a width after."""
    return np.asarray(-np.tanh(2.5 * position))
