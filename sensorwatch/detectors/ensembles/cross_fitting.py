"""Scores of windows by models that were not fitted on them, by which an ensemble's members are calibrated and weighted.

Models score their training windows too low: a tail calibrated on them would be far too short. For a sensor with up to
4,000 windows, two more models are therefore fitted. One is fitted on the first 60 % and scores the rest; the other is
fitted on the last 60 % and scores the windows before. The fifth in the middle, on which both were fitted, is scored by
the first of them. So every window counts in the calibration, and most are new to the model that scores them. Of a
sensor with more windows, its own model scores the last 4,000: a model overfits so many windows little.

Source: cross-fitting as in V. Chernozhukov et al., Double/debiased machine learning, Econometrics Journal 21 (2018),
with folds that overlap, because a model needs a stretch of some length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.detectors.windowing.lagged_values import positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.detectors.base import Detector, Fitted
    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["CrossFitted", "cross_fit"]

_FIT_SHARE = 0.6
_MAX_SCORED = 4000
_HOLDOUT = 1600
_MIN_SCORED = 30


class CrossFitted(NamedTuple):
    """Models of the members that leave out the last windows of each sensor, and scores by models of this kind.

    Attributes
    ----------
    holdout
        Last 40 % of each sensor's windows; the last 1,600 of a sensor with more than 4,000.
    params
        Parameters of each member, fitted on the windows before the hold-out; fitted on all windows for a sensor with
        more than 4,000.
    scored
        All windows; the last 4,000 of a sensor with more.
    raw
        Raw scores of ``scored`` by each member, shape ``(n_values,)``; NaN where it has no score.
    is_holdout
        Whether a window of ``scored`` belongs to ``holdout``, shape ``(n_values,)``.
    """

    holdout: Series
    params: Mapping[str, pa.StructArray]
    scored: Series
    raw: Mapping[str, Floats]
    is_holdout: Flags


def cross_fit(members: Mapping[str, Detector], fitted: Mapping[str, Fitted], finite: Series) -> CrossFitted:
    """Return members' scores of windows that they were not fitted on.

    A sensor may have too few windows for a model on a part of them. If that leaves a member with fewer than 30 scores,
    its model of all windows scores them instead.

    Parameters
    ----------
    members
        Members by name.
    fitted
        Each member's models of all windows.
    finite
        All windows, without NaN and infinities.
    """
    scored = finite.kept(positions(finite) >= np.repeat(finite.lengths - _MAX_SCORED, finite.lengths))
    divided = finite.lengths <= _MAX_SCORED
    split, lengths = np.repeat(divided, scored.lengths), np.repeat(scored.lengths, scored.lengths)
    place = positions(scored)
    is_holdout = place >= np.where(split, np.floor(_FIT_SHARE * lengths), lengths - _HOLDOUT)
    # Windows before the last 60 %, scored by the models of those.
    oldest = split & (place < lengths - np.floor(_FIT_SHARE * lengths))
    early, late, begin = scored.kept(split & ~is_holdout), scored.kept(split & ~oldest), scored.kept(oldest)
    params, raw = {}, {}
    for name, member in members.items():
        params[name] = pc.if_else(pa.array(divided), member.fit(early).params, fitted[name].params)
        # All windows at once: the scores of the later ones depend on the oldest.
        scores = member.score(params[name], scored)
        scores[oldest] = member.score(member.fit(late).params, begin)
        raw[name] = _with_scores_of_few(member, fitted[name], scored, scores)
    return CrossFitted(scored.kept(is_holdout), params, scored, raw, is_holdout)


def _with_scores_of_few(member: Detector, fitted: Fitted, scored: Series, raw: Floats) -> Floats:
    """Return raw scores, by the model of all windows for a sensor with too few of them."""
    few = scored.count(~np.isnan(raw)) < _MIN_SCORED
    if few.any():
        own = fitted.params.take(pa.array(np.flatnonzero(few)))
        raw[np.repeat(few, scored.lengths)] = member.score(own, scored.of(few))
    return raw
