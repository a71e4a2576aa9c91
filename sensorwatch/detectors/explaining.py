"""Explanations of anomalous windows: scores of the members, and the nearest normal pattern.

The detector scores the sensors with an anomalous window once more for this; they are few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.calibration import scores_of_rarity
from sensorwatch.detectors.ensembles.composite import CompositeDetector
from sensorwatch.detectors.explanation import Explanation, MemberScore, NearestPattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pyarrow as pa

    from sensorwatch.detectors.base import Detector
    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["MAX_LEVELS", "explain"]

MAX_LEVELS = 96
"""Longer patterns are thinned out to this number of values."""

_LEVELS = 1000
_SHARE_DIGITS = 3


def explain(
    detector: Detector, params: pa.StructArray, series: Series, scores: Floats, windows: Integers
) -> list[Explanation]:
    """Return explanations of anomalous windows, in their order.

    Parameters
    ----------
    detector, params, series
        Detector that found the windows, with the arguments of :meth:`~sensorwatch.detectors.base.Detector.score`.
    scores
        Scores of 0-100 of all windows of the series, shape ``(n_values,)``.
    windows
        Positions of the anomalous windows in the series, ascending, shape ``(n,)``.
    """
    sensor = np.repeat(np.arange(series.n_sensors), series.lengths)[windows]
    patterns = _patterns(detector, params, series, windows, sensor)
    if isinstance(detector, CompositeDetector):
        members = _members(detector, params, series, windows, sensor)
    else:
        members = [(MemberScore(detector.name, score, 1.0),) for score in _whole(scores[windows])]
    return [Explanation(detector.name, each, pattern) for each, pattern in zip(members, patterns, strict=True)]


def _members(
    detector: CompositeDetector, params: pa.StructArray, series: Series, windows: Integers, sensor: Integers
) -> list[tuple[MemberScore, ...]]:
    weights = {name: np.nan_to_num(weight)[sensor] for name, weight in detector.weights(params).items()}
    rarities = {name: rarity[windows] for name, rarity in detector.member_rarities(params, series).items()}
    # A member without a score for a window does not count in its mean.
    shares = {name: np.where(np.isnan(rarity), 0.0, weights[name]) for name, rarity in rarities.items()}
    total = np.sum(list(shares.values()), axis=0)
    found: list[list[MemberScore]] = [[] for _ in windows]
    for name, rarity in rarities.items():
        share = np.round(shares[name] / np.where(total > 0, total, 1.0), _SHARE_DIGITS).tolist()
        for i in np.flatnonzero(shares[name] > 0).tolist():
            found[i].append(MemberScore(name, _whole(scores_of_rarity(rarity[i : i + 1]))[0], share[i]))
    return [tuple(sorted(each, key=lambda member: (-member.score, -member.weight, member.name))) for each in found]


def _whole(scores: Floats) -> list[int]:
    """Return scores rounded down, so that one below 50 stays there."""
    whole: list[int] = np.floor(scores).astype(np.int64).tolist()
    return whole


def _patterns(
    detector: Detector, params: pa.StructArray, series: Series, windows: Integers, sensor: Integers
) -> list[NearestPattern | None]:
    alone = {detector.name: (detector, params)}
    members = detector.members(params) if isinstance(detector, CompositeDetector) else alone
    found: list[NearestPattern | None] = []
    # One sensor at a time: patterns of all windows of many sensors would need much memory.
    for i in np.unique(sensor).tolist():
        places = windows[sensor == i] - series.offsets[i]
        found += _sensor_patterns(members, i, series.part(i, i + 1), places)
    return found


def _sensor_patterns(
    members: Mapping[str, tuple[Detector, pa.StructArray]], i: int, series: Series, places: Integers
) -> list[NearestPattern | None]:
    """Return the patterns of one sensor's windows by the first member that has patterns."""
    for name, (member, params) in members.items():
        nearest = member.nearest_patterns(params.slice(i, 1), series)
        if nearest is not None:
            return [_pattern(name, values, int(nearest.step_seconds[0])) for values in nearest.values[places]]
    return [None] * len(places)


def _pattern(name: str, values: Floats, step_seconds: int) -> NearestPattern | None:
    size = len(values)
    if size < 2 or not np.isfinite(values).all():
        return None
    low, high = float(values.min()), float(values.max())
    stride = -(-(size - 1) // (MAX_LEVELS - 1))
    kept = values[(size - 1) % stride :: stride]
    width = high / 2 - low / 2
    share = (kept / 2 - low / 2) / width if width > 0 else np.zeros(len(kept))
    levels = np.clip(np.round(share * _LEVELS), 0, _LEVELS).astype(np.int64)
    return NearestPattern(name, size, step_seconds * stride, low, high, tuple(levels.tolist()))
