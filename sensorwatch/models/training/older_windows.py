"""Windows from before the training range, for sensors that report too rarely to fill it.

Windows are stored by shard and end, so one sensor's windows can't be read alone. There are two ways to read further
back, and the one that touches fewer rows is taken:

- read the whole shard, range by range, and keep the windows of these sensors;
- look up every possible window end of a sensor. That doesn't read the other sensors' windows, and is cheaper if few
  sensors of a busy shard report rarely.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sensorwatch.sensors.windows import SensorHistory, WindowColumns, WindowRange, WindowStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

__all__ = ["MissingWindows", "OlderWindows", "WindowHistory", "lacking_reason", "read_older_windows"]

_DAY_SECONDS = 86_400

_LOOK_UP_COST = 3.0
"""Rows of a shard that are read in the time of one look-up: 2.3 (no window found) to 4 (found), measured on SQLite."""

_MOST_LOOKED_UP = 1_000_000
"""Window ends that one call looks up."""


@dataclass(frozen=True, slots=True)
class OlderWindows:
    """Limits of the windows that a sensor is trained on in addition to its training range.

    Attributes
    ----------
    number
        Number of windows with a finite value up to which older windows are added, newest first.
    days
        Age limit of added windows, in days before the sensor's newest window.
    window_seconds
        Length of a window, in seconds.
    """

    number: int
    days: int
    window_seconds: int

    @property
    def age_seconds(self) -> int:
        """The age limit, in seconds."""
        return self.days * _DAY_SECONDS


class WindowHistory(WindowStore, SensorHistory, Protocol):
    """Reading windows of a shard or of one sensor."""


@dataclass(frozen=True, slots=True)
class MissingWindows:
    """Windows that one sensor lacks.

    Attributes
    ----------
    number
        Number of windows to find.
    since
        Exclusive start of the time in which they may be, in seconds since 1970-01-01T00:00:00Z.
    """

    number: int
    since: int


def read_older_windows(
    store: WindowHistory,
    shard: int,
    missing: Mapping[int, MissingWindows],
    *,
    read: WindowRange,
    rows: int,
    usable: Callable[[WindowColumns], WindowColumns],
    window_seconds: int,
) -> list[WindowColumns]:
    """Return usable windows from before a range, at least as many as each sensor lacks if the store has them.

    More may be returned than a sensor lacks. A window is returned once, and no sensor but the given ones is.

    Parameters
    ----------
    store
        Source of the windows.
    shard
        Number of the sensors' shard.
    missing
        The windows that are wanted, by sensor id.
    read
        Range that was read already; older windows end at or before its start.
    rows
        Number of the shard's windows in ``read``, from which the cost of reading the shard is estimated.
    usable
        Leaves out windows that must not be trained on.
    window_seconds
        Length of a window, in seconds.
    """
    until, length = read.start, read.end - read.start
    missing = {sensor_id: need for sensor_id, need in missing.items() if need.number > 0 and need.since < until}
    history = store.history_range(min(missing)) if missing else None
    if history is None:
        return []
    since = {sensor_id: max(need.since, history.start) for sensor_id, need in missing.items()}
    number = {sensor_id: need.number for sensor_id, need in missing.items()}
    found: list[WindowColumns] = []
    rows_per_second = rows / length
    longest = max(length, _DAY_SECONDS)
    while pending := [sensor_id for sensor_id in since if number[sensor_id] > 0 and since[sensor_id] < until]:
        if rows_per_second > _LOOK_UP_COST * len(pending) / window_seconds:
            for sensor_id in pending:
                bounds = WindowRange(since[sensor_id], until)
                found.extend(_look_up(store, sensor_id, number[sensor_id], bounds, length, usable, window_seconds))
            break
        start = max(until - length, min(since[sensor_id] for sensor_id in pending))
        columns = store.read_windows(shard, datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(until, UTC))
        rows_per_second = len(columns.end) / (until - start)
        columns = usable(columns.only(np.isin(columns.sensor_id, pending)))
        found.append(columns)
        for sensor_id, count in zip(*_finite_counts(columns), strict=True):
            number[sensor_id] -= count
        until, length = start, min(2 * length, longest)
    return found


def _look_up(
    store: WindowHistory,
    sensor_id: int,
    number: int,
    bounds: WindowRange,
    length: int,
    usable: Callable[[WindowColumns], WindowColumns],
    window_seconds: int,
) -> Iterator[WindowColumns]:
    """Yield windows of one sensor, newest range first, until there are ``number`` with a finite value."""
    until = bounds.end
    while number > 0 and until > bounds.start:
        start = max(until - length, bounds.start)
        columns = usable(store.sensor_windows(sensor_id, WindowRange(start, until), window_seconds))
        yield columns
        number -= int(np.isfinite(columns.value).sum())
        until, length = start, min(2 * length, _MOST_LOOKED_UP * window_seconds)


def _finite_counts(columns: WindowColumns) -> tuple[list[int], list[int]]:
    ids, counts = np.unique(columns.sensor_id[np.isfinite(columns.value)], return_counts=True)
    return ids.tolist(), counts.tolist()


def lacking_reason(
    times: npt.NDArray[np.int64], minimum: int, older: OlderWindows | None, new_trend: int | None
) -> str:
    """Return the reason why a sensor has too few windows for a model, and what would help.

    Parameters
    ----------
    times
        Ends of the windows that it has, in seconds since 1970-01-01T00:00:00Z, ascending, shape ``(n,)``, int64.
    minimum
        Number of windows that it needs.
    older
        Limits of older windows; None if only the training range was read.
    new_trend
        Time before which its windows are left out, in seconds since 1970-01-01T00:00:00Z; None if there is none.

    Examples
    --------
    >>> older = OlderWindows(4000, 60, 5)
    >>> lacking_reason(np.arange(24) * 3600, 100, older, None)
    '24 of 100 windows within 60 days; more history, or a lower MINIMUM_TRAINING_WINDOWS, makes it ready'
    >>> lacking_reason(np.arange(30) * 86_400, 100, older, None)
    '30 of 100 windows within 60 days; TRAINING_DAYS=100, or a lower MINIMUM_TRAINING_WINDOWS, makes it ready'
    """
    lack = f"{len(times)} of {minimum} windows"
    if older is None:
        return lack
    help_ = "more history"
    if len(times) > 1:
        # As many intervals as windows: the oldest window must be newer than the limit.
        days = ceil(minimum * int(times[-1] - times[0]) / (len(times) - 1) / _DAY_SECONDS)
        help_ = f"TRAINING_DAYS={days}" if days > older.days else help_
    within = f"within {older.days} days"
    if new_trend is not None and times.size and times[-1] - older.age_seconds < new_trend:
        within = f"since the sensor's new trend began at {datetime.fromtimestamp(new_trend, UTC):%Y-%m-%d %H:%M} UTC"
    return f"{lack} {within}; {help_}, or a lower MINIMUM_TRAINING_WINDOWS, makes it ready"
