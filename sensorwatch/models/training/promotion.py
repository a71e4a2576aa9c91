"""Promotion gate: decides if a newly fitted model may replace the one in use.

A candidate is refused for one of these reasons, checked in this order:

not finite
    The raw score of one of its training windows is infinite, or no training window has a raw score.
flags everything
    It flags more than the allowed share of its training windows.
accepts everything
    It flags neither of two test values that lie a thousand training ranges below the lowest and above the highest
    training value.
flags the hold-out
    A model of the same detector, fitted without the last part of the training windows (the hold-out), flags more than
    the allowed share of the hold-out. So the sensor drifts away, has just moved to another level, or is broken. Once a
    new level has lasted longer than the hold-out, the next candidate passes.
misses the hold-out
    That model flags none of the windows in the hold-out that are labelled as anomalous.

Windows that are labelled as anomalous don't count as flagged, because a model is expected to find them. Only detectors
that learn from labels get labels.

A separate model judges the hold-out, because there are no windows newer than those that the candidate was fitted on.
This costs one more fit on the first part and one scoring of the hold-out, for all sensors of a shard at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.calibration import calibrate
from sensorwatch.detectors.ensembles.composite import CompositeDetector, PreviousModels
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.sensors.labels import LABELLED_ANOMALOUS

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.base import Detector

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["PromotionRules", "refusals"]

_LEAST_HOLDOUT = 10
"""Windows; the flagged share of fewer windows is too uncertain."""

_CONTEXT = 128
"""Windows before a test value, more than the longest pattern of any detector."""

_FAR = 1000.0
"""Distance of a test value, in training ranges."""


@dataclass(frozen=True, slots=True)
class PromotionRules:
    """Limits of the promotion gate.

    Attributes
    ----------
    holdout_share
        Share of a sensor's training windows, counted from the newest, that is the hold-out: from 0 to below 1. A
        hold-out of fewer than ten windows is not checked, so 0 switches the check off.
    max_flagged_share
        Largest share (0-1) of the training windows, and of the hold-out, that a candidate may flag.
    """

    holdout_share: float = 0.2
    max_flagged_share: float = 0.5


def refusals(
    chosen: Detector, params: pa.StructArray, series: Series, raw: Floats, rules: PromotionRules
) -> dict[int, str]:
    """Return the reasons why candidates are refused, by the sensor's position; candidates that pass are left out.

    Parameters
    ----------
    chosen
        The detector.
    params
        Parameters of the candidates, shape ``(n_sensors,)``; null for a sensor without a candidate.
    series
        The training windows; all values are finite.
    raw
        Raw scores of ``series``, shape ``(n_values,)``, float64.
    rules
        Limits of the gate.

    Examples
    --------
    >>> from sensorwatch.detectors.factory import detector
    >>> ocsvm, values = detector("ocsvm"), np.concatenate((np.tile([1.0, 2.0], 40), np.full(20, 9.0)))
    >>> moved = Series(np.array([0, 100]), 5 * np.arange(100), values)
    >>> params = ocsvm.fit(moved).params
    >>> refusals(ocsvm, params, moved, ocsvm.score(params, moved), PromotionRules())[0][:53]
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
    """Return the highest normal raw score of each sensor, shape ``(n_sensors,)``."""
    if chosen.threshold is None:
        return calibrate(raw, series.offsets, None).threshold
    return np.full(series.n_sensors, chosen.threshold)


def _not_finite(series: Series, raw: Floats) -> dict[int, str]:
    # A detector that needs previous windows has no score for the first ones, but it must have some scores.
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
        int(i): f"it flags nothing: neither {far[i, 0]:g} nor {far[i, 1]:g}, although it was trained on values from "
        f"{lowest[i]:g} to {highest[i]:g}; another DETECTOR may suit the sensor"
        for i in np.flatnonzero(accepted)
    }


def _last_windows_and(series: Series, far: Floats) -> Series:
    """Return each sensor's last windows twice, followed by the first and by the second of its values in ``far``."""
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
    if isinstance(chosen, CompositeDetector):
        params = chosen.warm_start(earlier, PreviousModels.keeping_weights(candidates)).params
    else:
        params = chosen.fit(earlier).params
    if chosen.threshold is None:
        raw = chosen.score(params, series)
        limits = _limits(chosen, raw[~last], earlier)
        flagged = raw[last] > np.repeat(limits, holdout.lengths)
    else:
        flagged = chosen.anomalous(params, holdout, np.full(series.n_sensors, chosen.threshold))
    known = _anomalous(holdout)
    share = holdout.count(flagged & ~known) / np.maximum(held, 1)
    found = {
        int(i): f"fitted without its last {held[i]} windows, it flags {_percent(share[i])} of them, {_allowed(rules)}: "
        "the sensor's level is changing, or it is broken; the next training tries again"
        for i in np.flatnonzero(share > rules.max_flagged_share)
    }
    labelled = holdout.count(known)
    missed = (labelled > 0) & (holdout.count(flagged & known) == 0)
    missed &= params.is_valid().to_numpy(zero_copy_only=False)
    return found | {
        int(
            i
        ): f"fitted without its last {held[i]} windows, it flags none of the {labelled[i]} windows among them that "
        "are labelled as anomalous; add more labels, or try another DETECTOR"
        for i in np.flatnonzero(missed)
    }


def _anomalous(series: Series) -> Flags:
    """Return True for each window that is labelled as anomalous, shape ``(n_values,)``."""
    if series.labels is None:
        return np.zeros(len(series.values), np.bool_)
    return np.asarray(series.labels == LABELLED_ANOMALOUS)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _allowed(rules: PromotionRules) -> str:
    return f"more than the {_percent(rules.max_flagged_share)} of PROMOTION_MAX_FLAGGED_SHARE"
