"""What models that have not seen a window say of it: how members of an ensemble are calibrated and weighed.

Members know their training windows too well to be calibrated on them: their tails would be far too short. So two more
sets of models are fitted for a sensor with up to 4,000 windows: one on the first 60 %, which scores the rest, and one
on the last 60 %, which scores what is before it. The fifth in the middle, which both were fitted on, is scored by the
first set. So each window counts in the calibration, and most are new to the models that score them. Of a sensor with
more windows the last 4,000 are scored by its own models, as these know few of so many by heart.

Source: cross-fitting as in V. Chernozhukov et al., Double/debiased machine learning, Econometrics Journal 21 (2018),
with folds that overlap, as a model needs a stretch of some length.
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

__all__ = ["HeldOut", "hold_out"]

_FIT_SHARE = 0.6
_MOST_SCORED = 4000
_HELD_OUT = 1600
_LEAST_SCORED = 30


class HeldOut(NamedTuple):
    """The last windows of each sensor, with models that have not seen them, and what is said of these and more.

    Attributes
    ----------
    series
        The last 40 % of each sensor's windows; of one with more than 4,000 the last 1,600.
    params
        By member: parameters fitted on what is before these; on everything where there are more than 4,000.
    scored
        All windows; of a sensor with more than 4,000 the last 4,000.
    raw
        By member: raw scores of these, shape ``(n_values,)``, NaN where there is none.
    newest
        Which of these are those of ``series``, shape ``(n_values,)``.
    """

    series: Series
    params: Mapping[str, pa.StructArray]
    scored: Series
    raw: Mapping[str, Floats]
    newest: Flags


def hold_out(members: Mapping[str, Detector], fitted: Mapping[str, Fitted], finite: Series) -> HeldOut:
    """Return what members say of windows that they were not fitted on.

    A member with too few scores of a sensor, as its windows are not enough for a part of them to make a model, is taken
    at its word of the windows that it was fitted on.

    Parameters
    ----------
    members, fitted
        By name: the members, and what fitting them to all windows gave.
    finite
        All windows, without NaN and infinities.
    """
    scored = finite.kept(positions(finite) >= np.repeat(finite.lengths - _MOST_SCORED, finite.lengths))
    divided = finite.lengths <= _MOST_SCORED
    split, lengths = np.repeat(divided, scored.lengths), np.repeat(scored.lengths, scored.lengths)
    place = positions(scored)
    newest = place >= np.where(split, np.floor(_FIT_SHARE * lengths), lengths - _HELD_OUT)
    # What is before the last 60 %, scored by models of these.
    oldest = split & (place < lengths - np.floor(_FIT_SHARE * lengths))
    early, late, begin = scored.kept(split & ~newest), scored.kept(split & ~oldest), scored.kept(oldest)
    params, raw = {}, {}
    for name, member in members.items():
        params[name] = pc.if_else(pa.array(divided), member.fit(early).params, fitted[name].params)
        # All at once: the oldest windows are what those behind them are judged by.
        known = member.score(params[name], scored)
        known[oldest] = member.score(member.fit(late).params, begin)
        raw[name] = _at_its_word(member, fitted[name], scored, known)
    return HeldOut(scored.kept(newest), params, scored, raw, newest)


def _at_its_word(member: Detector, fitted: Fitted, scored: Series, raw: Floats) -> Floats:
    """Return the raw scores, of sensors with few of them those of their own models."""
    few = scored.count(~np.isnan(raw)) < _LEAST_SCORED
    if few.any():
        own = fitted.params.take(pa.array(np.flatnonzero(few)))
        raw[np.repeat(few, scored.lengths)] = member.score(own, scored.of(few))
    return raw
