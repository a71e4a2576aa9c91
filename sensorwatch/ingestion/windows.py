"""Tumbling windows: the window of a reading, and partial aggregates that can be merged.

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
    """Return the inclusive end of the window of a time, in seconds since 1970-01-01T00:00:00Z.

    Parameters
    ----------
    ticks
        The time, in units of 100 ns since 1970-01-01T00:00:00Z; may be negative.
    window_seconds
        Length of a window, in seconds.

    Examples
    --------
    >>> window_end(50_000_000, 5), window_end(50_000_001, 5)
    (5, 10)
    """
    return -(-ticks // (window_seconds * _TICKS_PER_SECOND)) * window_seconds


def summarise(sensor_id: int, end: int, values: Sequence[float]) -> Window:
    """Return the aggregate of the values of one window; sums are rounded once, whatever the order.

    Parameters
    ----------
    sensor_id
        The sensor.
    end
        End of the window, in seconds since 1970-01-01T00:00:00Z.
    values
        At least one finite value.
    """
    squares = math.fsum([value * value for value in values])
    return _new(Window, (sensor_id, end, len(values), math.fsum(values), min(values), max(values), squares))


def aggregate(sensor_ids: Sequence[int], ends: Sequence[int], values: Sequence[float]) -> list[Window]:
    """Return the windows of readings given as columns, one for each sensor and end, in any order.

    Parameters
    ----------
    sensor_ids
        Sensor of each reading, shape ``(n_readings,)``.
    ends
        End of its window, in seconds since 1970-01-01T00:00:00Z, same shape.
    values
        Value of each reading, same shape; zeros are positive zeros.
    """
    if len(set(sensor_ids)) == len(sensor_ids):
        squares = [value * value for value in values]
        rows = zip(sensor_ids, ends, repeat(1), values, values, values, squares)
        return list(map(_new, repeat(Window), rows))
    windows: list[Window] = []
    for end, sensors, readings in _by_end(sensor_ids, ends, values):
        # Most windows of a batch hold a single reading: only the others need a list.
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
    """Return the aggregate of the readings of both windows.

    Count, minimum and maximum are exact for any number and order of merges; total and sum of squares are exact up to
    rounding of the last digits.

    Raises
    ------
    ValueError
        The windows differ in sensor or end.
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
