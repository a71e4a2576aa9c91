"""Whether a freshly fitted model may take the place of the one in use.

A candidate is refused when one of these holds, looked at in this order:

not finite
    It gives some of its own training windows an infinite raw score, or none of them any.
flags everything
    It flags more than the allowed share of the windows that it was trained on.
accepts everything
    It flags neither of two values that lie a thousand training ranges below and above all it was trained on.
flags the hold-out
    A model of the same kind that is fitted without the last part of the training windows flags more than the allowed
    share of that part. So the sensor does not stay where it was: it runs away, has just moved to another level, or is
    broken at this moment. Once a new level has lasted longer than the hold-out, the next candidate passes.
misses the hold-out
    That model flags none of the windows that labels call anomalous there.

Windows that labels call anomalous don't count as flagged: finding them is what a model is for. Only models that learn
from labels are given any.

The hold-out is judged by a model of its own, as there are no newer windows than those that the candidate has seen.
That costs one more fit on the first part and one scoring of the rest, for all sensors of a shard at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import Continuing, Former, anomalous
from sensorwatch.detectors.calibration import calibrate
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.sensors.labels import ANOMALOUS

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.base import Detector

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["PromotionRules", "refusals"]

_LEAST_HOLDOUT = 10
"""Windows; a share of fewer says little."""

_CONTEXT = 128
"""Windows that a detector may look back on; enough for every pattern that one knows."""

_FAR = 1000.0
"""Training ranges."""


@dataclass(frozen=True, slots=True)
class PromotionRules:
    """What a candidate has to keep to.

    Attributes
    ----------
    holdout_share
        Share of a sensor's training windows, the last ones, that is held out: 0 up to, not including, 1. A hold-out of
        fewer than ten windows is not judged, so 0 turns it off.
    max_flagged_share
        Share of windows (0-1) that a candidate may flag of those that it was trained on, and of the hold-out.
    """

    holdout_share: float = 0.2
    max_flagged_share: float = 0.5


def refusals(
    chosen: Detector, params: pa.StructArray, series: Series, raw: Floats, rules: PromotionRules
) -> dict[int, str]:
    """Return why candidates are refused, by the sensor's position; those that may be promoted are left out.

    Parameters
    ----------
    chosen
        The detector.
    params
        Its candidates, shape ``(n_sensors,)``. A sensor without one (null) is passed over.
    series
        What they were fitted on: finite values only.
    raw
        Their raw scores of ``series``, shape ``(n_values,)``.
    rules
        What they have to keep to.

    Examples
    --------
    >>> from sensorwatch.detectors import detector
    >>> ocsvm, values = detector("ocsvm"), np.concatenate((np.tile([1.0, 2.0], 40), np.full(20, 9.0)))
    >>> moved = Series(np.array([0, 100]), 5 * np.arange(100), values)
    >>> params = ocsvm.fit(moved).params
    >>> refusals(ocsvm, params, moved, ocsvm.score(params, moved), PromotionRules())[0][:52]
    'fitted without its last 20 windows, it flags 100 % of'
    """
    fitted = params.is_valid().to_numpy(zero_copy_only=False) & (series.lengths > 0)
    positions = np.flatnonzero(fitted)
    if not len(positions):
        return {}
    if len(positions) < series.n_sensors:
        raw = raw[np.repeat(fitted, series.lengths)]
        params, series = params.take(pa.array(positions)), series.of(fitted)
    limits = _limits(chosen, raw, series)
    checks = (
        _not_finite(series, raw),
        _flags_everything(series, (raw > np.repeat(limits, series.lengths)) & ~_anomalous(series), rules),
        _accepts_everything(chosen, params, series, limits),
        _flags_holdout(chosen, params, series, rules),
    )
    found: dict[int, str] = {}
    for check in reversed(checks):
        found.update(check)
    return {int(positions[i]): found[i] for i in sorted(found)}


def _limits(chosen: Detector, raw: Floats, series: Series) -> Floats:
    """Return the highest raw score of each sensor that is still normal, shape ``(n_sensors,)``."""
    if chosen.threshold is None:
        return calibrate(raw, series.offsets, None).threshold
    return np.full(series.n_sensors, chosen.threshold)


def _not_finite(series: Series, raw: Floats) -> dict[int, str]:
    # A detector that looks back has no score of the first windows, but it has to have some.
    unscored = series.count(np.isnan(raw))
    bad = np.where(unscored == series.lengths, unscored, series.count(np.isinf(raw)))
    return {
        int(i): f"its scores of {bad[i]} of {series.lengths[i]} training windows are not finite; "
        "another DETECTOR may suit the sensor"
        for i in np.flatnonzero(bad)
    }


def _flags_everything(series: Series, flagged: Flags, rules: PromotionRules) -> dict[int, str]:
    share = series.count(flagged) / series.lengths
    return {
        int(i): f"it flags {_percent(share[i])} of the windows that it was trained on, {_allowed(rules)}; "
        "another DETECTOR may suit the sensor"
        for i in np.flatnonzero(share > rules.max_flagged_share)
    }


def _accepts_everything(chosen: Detector, params: pa.StructArray, series: Series, limits: Floats) -> dict[int, str]:
    starts = series.offsets[:-1]
    lowest, highest = np.minimum.reduceat(series.values, starts), np.maximum.reduceat(series.values, starts)
    with np.errstate(over="ignore"):
        reach = _FAR * (highest - lowest)
        reach = np.where(reach > 0, reach, np.maximum(np.abs(highest), 1.0))
        far = np.nan_to_num(np.column_stack((lowest - reach, highest + reach)))
    sensor, probes = np.repeat(np.arange(len(starts)), 2), _last_windows_and(series, far)
    raw = chosen.score(params.take(pa.array(sensor)), probes)[probes.offsets[1:] - 1]
    accepted = (raw <= limits[sensor]).reshape(-1, 2).all(axis=1)
    return {
        int(i): f"it flags nothing: neither {far[i, 0]:g} nor {far[i, 1]:g}, and it was trained on values from "
        f"{lowest[i]:g} to {highest[i]:g}; another DETECTOR may suit the sensor"
        for i in np.flatnonzero(accepted)
    }


def _last_windows_and(series: Series, far: Floats) -> Series:
    """Return each sensor's last windows twice, each time followed by one of its two values of ``far``."""
    kept = np.repeat(np.minimum(series.lengths, _CONTEXT), 2)
    offsets = np.concatenate(([0], np.cumsum(kept + 1)))
    back = np.repeat(offsets[1:], kept + 1) - np.arange(offsets[-1])
    last = np.repeat(np.repeat(series.offsets[1:], 2), kept + 1)
    place = last - np.maximum(back - 1, 1)
    values = series.values[place]
    values[offsets[1:] - 1] = far.ravel()
    step = series.times[place] - series.times[np.maximum(place - 1, 0)]
    return Series(offsets, series.times[place] + np.where(back == 1, np.maximum(step, 1), 0), values)


def _flags_holdout(
    chosen: Detector, candidates: pa.StructArray, series: Series, rules: PromotionRules
) -> dict[int, str]:
    held = np.floor(series.lengths * rules.holdout_share).astype(np.int64)
    held[(held < _LEAST_HOLDOUT) | (held == series.lengths)] = 0
    if not held.any():
        return {}
    position = np.arange(len(series.values)) - np.repeat(series.offsets[:-1], series.lengths)
    last = position >= np.repeat(series.lengths - held, series.lengths)
    holdout, earlier = series.kept(last), series.kept(~last)
    if isinstance(chosen, Continuing):
        params = chosen.fit_on(earlier, Former.kept(candidates)).params
    else:
        params = chosen.fit(earlier).params
    if chosen.threshold is None:
        raw = chosen.score(params, series)
        limits = _limits(chosen, raw[~last], earlier)
        flagged = raw[last] > np.repeat(limits, holdout.lengths)
    else:
        flagged = anomalous(chosen, params, holdout, np.full(series.n_sensors, chosen.threshold))
    known = _anomalous(holdout)
    share = holdout.count(flagged & ~known) / np.maximum(held, 1)
    found = {
        int(i): f"fitted without its last {held[i]} windows, it flags {_percent(share[i])} of them, {_allowed(rules)}: "
        "the sensor moves or is broken; the next training tries again"
        for i in np.flatnonzero(share > rules.max_flagged_share)
    }
    labelled = holdout.count(known)
    missed = (labelled > 0) & (holdout.count(flagged & known) == 0)
    missed &= params.is_valid().to_numpy(zero_copy_only=False)
    return found | {
        int(i): f"fitted without its last {held[i]} windows, it flags none of the {labelled[i]} among them that are "
        "labelled anomalous; more labels, or another DETECTOR, may suit the sensor"
        for i in np.flatnonzero(missed)
    }


def _anomalous(series: Series) -> Flags:
    """Return which windows are labelled anomalous."""
    if series.labels is None:
        return np.zeros(len(series.values), np.bool_)
    return np.asarray(series.labels == ANOMALOUS)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _allowed(rules: PromotionRules) -> str:
    return f"more than the {_percent(rules.max_flagged_share)} of PROMOTION_MAX_FLAGGED_SHARE"
