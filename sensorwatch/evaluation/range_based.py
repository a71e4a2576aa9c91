"""Range-based precision and recall: they compare spans instead of windows, so long anomalies count like short ones.

A fifth of the recall of an anomaly is for overlapping an alarm at all, as in TSB-AD; the rest is the covered share
divided by the number of alarms that cover it. The precision of an alarm has the second part only.

Source: Tatbul, Lee, Zdonik, Alam, Gottschlich: Precision and Recall for Time Series, NeurIPS 2018, with a flat
positional bias and the overlap cardinality factor 1/x.
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
    """Range-based precision and recall, 0-1; the precision is NaN without alarms, the recall without anomalies."""

    precision: float
    recall: float


def range_based(anomalies: Spans, alarms: Spans, *, existence_weight: float = EXISTENCE_WEIGHT) -> RangeBased:
    """Return range-based precision and recall.

    Parameters
    ----------
    anomalies
        First and last positions of the labelled spans, both inclusive; two int64 arrays of shape ``(n_anomalies,)``.
        Spans are ascending and don't overlap.
    alarms
        The same of the alarms, shape ``(n_alarms,)``.
    existence_weight
        Share of recall (0-1) for overlapping an anomaly at all: alpha in the paper.

    Examples
    --------
    One alarm that covers half of an anomaly, and no other alarm:

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
    """Return the mean reward of the spans ``of`` for their overlap with the spans ``by``."""
    firsts, lasts = of
    if not len(firsts):
        return float("nan")
    # Spans of one kind are ascending and don't overlap, so those that overlap one span are consecutive.
    begin = np.searchsorted(by[1], firsts, side="left")
    end = np.searchsorted(by[0], lasts, side="right")
    pieces = end - begin
    covered_before = np.concatenate(([0], np.cumsum(by[1] - by[0] + 1)))
    covered = covered_before[end] - covered_before[begin]
    met = pieces > 0
    # The first and the last of them may extend beyond the span.
    covered[met] -= np.maximum(firsts[met] - by[0][begin[met]], 0)
    covered[met] -= np.maximum(by[1][end[met] - 1] - lasts[met], 0)
    overlap = covered / (lasts - firsts + 1) / np.maximum(pieces, 1)
    return float(np.mean(existence_weight * met + (1.0 - existence_weight) * overlap))
