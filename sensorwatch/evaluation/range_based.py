"""Precision and recall of spans instead of windows: a long anomaly counts no more than a short one.

Source: Tatbul, Lee, Zdonik, Alam, Gottschlich: Precision and Recall for Time Series, NeurIPS 2018, with a flat
positional bias and the overlap cardinality factor 1/x. Recall rewards meeting an anomaly at all with a fifth, as TSB-AD
does; the rest is how much of it is covered, divided by the number of pieces. Precision has the second part only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Spans = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

__all__ = ["EXISTENCE_WEIGHT", "RangeBased", "range_based"]

EXISTENCE_WEIGHT = 0.2


class RangeBased(NamedTuple):
    """Range-based precision and recall, 0-1; NaN where there is no alarm, or no anomaly."""

    precision: float
    recall: float


def range_based(anomalies: Spans, alarms: Spans, *, existence_weight: float = EXISTENCE_WEIGHT) -> RangeBased:
    """Return range-based precision and recall.

    Parameters
    ----------
    anomalies, alarms
        First and last positions of the labelled and the detected spans, both inclusive, in order and apart.
    existence_weight
        The paper's alpha: what of recall is given for meeting an anomaly at all, 0-1.

    Examples
    --------
    Half of an anomaly found, in one piece, and no alarm beside it:

    >>> one = (np.array([10]), np.array([19]))
    >>> precision, recall = range_based(one, (np.array([15]), np.array([19])))
    >>> precision, round(recall, 9)
    (1.0, 0.6)
    """
    return RangeBased(
        _mean_reward(alarms, anomalies, existence_weight=0.0),
        _mean_reward(anomalies, alarms, existence_weight=existence_weight),
    )


def _mean_reward(of: Spans, by: Spans, *, existence_weight: float) -> float:
    """Return the mean over the spans ``of`` of how well the spans ``by`` meet them."""
    firsts, lasts = of
    if not len(firsts):
        return float("nan")
    # Spans of either kind are in order and apart, so those that meet a span follow each other.
    begin = np.searchsorted(by[1], firsts, side="left")
    end = np.searchsorted(by[0], lasts, side="right")
    pieces = end - begin
    covered_before = np.concatenate(([0], np.cumsum(by[1] - by[0] + 1)))
    covered = covered_before[end] - covered_before[begin]
    met = pieces > 0
    # The first and the last piece may stick out.
    covered[met] -= np.maximum(firsts[met] - by[0][begin[met]], 0)
    covered[met] -= np.maximum(by[1][end[met] - 1] - lasts[met], 0)
    overlap = covered / (lasts - firsts + 1) / np.maximum(pieces, 1)
    return float(np.mean(existence_weight * met + (1.0 - existence_weight) * overlap))
