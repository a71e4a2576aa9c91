"""Tumbling windows: which window a reading belongs to, and partial aggregates that can be merged.

A window is ``(start, end]`` in UTC, aligned to 1970-01-01T00:00:00Z: a reading at exactly ``end`` belongs to it, one
100 ns later to the next.
"""

from __future__ import annotations

import math
from itertools import repeat
from typing import TYPE_CHECKING

from sensorwatch.ingestion.records import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["aggregate", "merge", "summarise", "window_end"]

_TICKS_PER_SECOND = 10_000_000
# A named tuple's own constructor costs several times what the tuple does.
_new = tuple.__new__


def window_end(ticks: int, window_seconds: int) -> int:
    """Return the end of the window that a time belongs to, in seconds since 1970-01-01T00:00:00Z, inclusive.

    Parameters
    ----------
    ticks
        100 ns since 1970-01-01T00:00:00Z; may be negative.
    window_seconds
        Length of a window.

    Examples
    --------
    >>> window_end(50_000_000, 5), window_end(50_000_001, 5)
    (5, 10)
    """
    return -(-ticks // (window_seconds * _TICKS_PER_SECOND)) * window_seconds


def summarise(sensor_id: int, end: int, values: Sequence[float]) -> Window:
    """Return the aggregate of a window's values (at least one); sums are rounded once, whatever the order."""
    squares = math.fsum([value * value for value in values])
    return _new(Window, (sensor_id, end, len(values), math.fsum(values), min(values), max(values), squares))


def aggregate(sensor_ids: Sequence[int], ends: Sequence[int], values: Sequence[float]) -> list[Window]:
    """Return the windows of readings given as columns, one for each sensor and end, in no certain order.

    Parameters
    ----------
    sensor_ids
        Each reading's sensor, shape ``(n_readings,)``.
    ends
        The end of its window in seconds since 1970-01-01T00:00:00Z, same shape.
    values
        Its value, same shape; a zero is a positive one.
    """
    if len(set(sensor_ids)) == len(sensor_ids):
        squares = [value * value for value in values]
        rows = zip(sensor_ids, ends, repeat(1), values, values, values, squares)
        return list(map(_new, repeat(Window), rows))
    windows: list[Window] = []
    for end, sensors, readings in _by_end(sensor_ids, ends, values):
        # Most windows of a batch hold a single reading, so there are lists only for those that hold several.
        singles: dict[int, float] = {}
        several: dict[int, list[float]] = {}
        for sensor_id, value in zip(sensors, readings, strict=True):
            if sensor_id not in singles:
                singles[sensor_id] = value
            elif sensor_id in several:
                several[sensor_id].append(value)
            else:
                several[sensor_id] = [singles[sensor_id], value]
        for sensor_id in several:
            del singles[sensor_id]
        windows += [_new(Window, (sensor_id, end, 1, x, x, x, x * x)) for sensor_id, x in singles.items()]
        windows += [summarise(sensor_id, end, column) for sensor_id, column in several.items()]
    return windows


def _by_end(
    sensor_ids: Sequence[int], ends: Sequence[int], values: Sequence[float]
) -> Iterable[tuple[int, Sequence[int], Sequence[float]]]:
    if ends and ends.count(ends[0]) == len(ends):
        return [(ends[0], sensor_ids, values)]
    parts: dict[int, tuple[int, list[int], list[float]]] = {end: (end, [], []) for end in ends}
    for sensor_id, end, value in zip(sensor_ids, ends, values, strict=True):
        _, sensors, readings = parts[end]
        sensors.append(sensor_id)
        readings.append(value)
    return parts.values()


def merge(first: Window, second: Window) -> Window:
    """Return the aggregate of both windows' readings.

    Count, minimum and maximum are exact however many windows are merged and in whatever order; total and sum of
    squares are, up to rounding in the last digits.

    Raises
    ------
    ValueError
        They are of different sensors or ends.
    """
    if first[:2] != second[:2]:
        raise ValueError(f"can only merge windows of the same sensor and end, got {first[:2]} and {second[:2]}")
    return Window(
        first.sensor_id,
        first.end,
        first.readings + second.readings,
        first.total + second.total,
        min(first.minimum, second.minimum),
        max(first.maximum, second.maximum),
        first.sum_of_squares + second.sum_of_squares,
    )
