"""State of the sensors of one partition: their open windows, and the last closed windows before them.

In real time, a window is scored at the mean of its readings so far. With its last reading, the score equals that of
batch scoring. Each batch of events adds readings to some windows, and each of these windows is scored once per batch.

The state changes only after the results of a batch are stored (:meth:`OpenWindows.commit`), so a batch that failed can
be processed again from the same state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from sensorwatch.alerts.records import Anomaly
    from sensorwatch.sensors.windows import WindowColumns

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["NO_WINDOW", "Arrivals", "OpenWindows", "Round", "Touched"]

NO_WINDOW = -(2**62)
"""End of a window that does not exist: before all times, and far enough from the int64 limits for arithmetic."""

_NO_SLOT = -1


class Arrivals(NamedTuple):
    """Readings of a batch as columns of shape ``(n_readings,)``.

    Attributes
    ----------
    number
        Sequence number of the reading's event, int64.
    sensor_id
        Sensor, int64.
    end
        End of the reading's window, inclusive, in seconds since 1970-01-01T00:00:00Z, int64.
    value
        Value, float64.
    """

    number: Integers
    sensor_id: Integers
    end: Integers
    value: Floats

    def chosen(self, rows: Flags | Integers) -> Arrivals:
        """Return some readings, by mask or positions."""
        return Arrivals(self.number[rows], self.sensor_id[rows], self.end[rows], self.value[rows])


class Round(NamedTuple):
    """One window of each of ``n`` sensors; a batch with several windows of a sensor has several rounds.

    Integer columns are int64, values float64; their shape is ``(n,)`` unless stated.

    Attributes
    ----------
    sensor
        Position of the sensor in :attr:`Touched.sensor_id`.
    end
        End of the window, inclusive, in seconds since 1970-01-01T00:00:00Z.
    value, readings
        Mean and number of the window's readings so far.
    arrived
        Number of readings that arrived with this batch.
    closes
        End of the sensor's previous window if this window closes it, else :data:`NO_WINDOW`.
    past_end, past_value
        Closed windows before this one, oldest first, shape ``(n, history)``; filled from the left with
        :data:`NO_WINDOW` and NaN.
    """

    sensor: Integers
    end: Integers
    value: Floats
    readings: Integers
    arrived: Integers
    closes: Integers
    past_end: Integers
    past_value: Floats


@dataclass(slots=True)
class _Columns:
    """State of sensors as columns, a row per slot; the past columns hold ``history`` closed windows each."""

    end: Integers
    readings: Integers
    total: Floats
    included: Integers
    past_end: Integers
    past_value: Floats
    scored: Flags
    reported: Flags
    unsettled: Flags

    @classmethod
    def empty(cls, sensors: int, history: int) -> _Columns:
        return cls(
            np.full(sensors, NO_WINDOW),
            np.zeros(sensors, np.int64),
            np.zeros(sensors),
            np.full(sensors, -1, np.int64),
            np.full((sensors, history), NO_WINDOW),
            np.full((sensors, history), np.nan),
            np.zeros(sensors, np.bool_),
            np.zeros(sensors, np.bool_),
            np.zeros(sensors, np.bool_),
        )

    def columns(self) -> Iterator[npt.NDArray[Any]]:
        return (getattr(self, name) for name in self.__slots__)

    def take(self, rows: Integers) -> _Columns:
        return _Columns(*(column[rows] for column in self.columns()))

    def put(self, rows: Integers, given: _Columns) -> None:
        for column, values in zip(self.columns(), given.columns(), strict=True):
            column[rows] = values


@dataclass(frozen=True, slots=True)
class Touched:
    """Windows that a batch adds readings to, before they are committed.

    Attributes
    ----------
    sensor_id
        Sensors of the batch, shape ``(n_sensors,)``, int64.
    rounds
        Windows of these sensors.
    late
        Number of readings older than their sensor's open window; they are not scored in real time.
    scored
        True if the sensor's open window before the batch was scored, shape ``(n_sensors,)``.
    reported
        True if that window has a stored anomaly, shape ``(n_sensors,)``.
    unsettled
        True if the sensor has an open alert or an anomalous recent window, shape ``(n_sensors,)``; its alert state
        then needs normal windows too.
    """

    sensor_id: Integers
    rounds: Sequence[Round]
    late: int
    scored: Flags
    reported: Flags
    unsettled: Flags
    _slots: Integers
    _after: _Columns


@dataclass(slots=True)
class OpenWindows:
    """Sensors of one partition, with a limit on their number; the least recently used ones are evicted.

    The sensors of the current batch are never evicted, even if there are more of them than the limit.

    Parameters
    ----------
    history
        Number of closed windows kept for each sensor.
    limit
        Maximum number of sensors.
    anomalies
        Stored anomalies of open windows, by sensor.
    """

    history: int
    limit: int
    anomalies: dict[int, Anomaly] = field(default_factory=dict)
    _slot_of: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    _owners: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    _used: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    _columns: _Columns = field(init=False)
    _sensors: int = 0
    _batch: int = 0

    def __post_init__(self) -> None:
        self._columns = _Columns.empty(0, self.history)

    def __len__(self) -> int:
        return self._sensors

    def unknown(self, sensor_ids: Integers) -> Integers:
        """Return the distinct sensors of a batch that have no state, ascending; mark the others as used by the batch.

        ``sensor_ids`` has shape ``(n_readings,)``, int64, and may repeat sensors.
        """
        self._batch += 1
        missing = int(sensor_ids.max()) + 1 - len(self._slot_of)
        if missing > 0:
            # Ids are dense, so an array indexed by id is small, and looks up a whole batch at once.
            self._slot_of = np.concatenate((self._slot_of, np.full(max(missing, len(self._slot_of)), _NO_SLOT)))
        slots = self._slot_of[sensor_ids]
        known = slots != _NO_SLOT
        if known.all():
            self._used[slots] = self._batch
            return sensor_ids[:0]
        self._used[slots[known]] = self._batch
        return np.unique(sensor_ids[~known])

    def load(
        self,
        first_end: Mapping[int, int],
        windows: WindowColumns,
        number: int,
        reported: Mapping[int, Anomaly],
        unsettled: set[int],
    ) -> None:
        """Restore sensors from their stored windows.

        Parameters
        ----------
        first_end
            End of the open window by sensor: the window of the sensor's first reading in the batch.
        windows
            Stored windows of these sensors up to their open windows, ordered by (sensor_id, end).
        number
            Sequence number up to which the partition's events are contained in the stored windows, inclusive.
        reported
            Stored anomalies of the open windows, by sensor.
        unsettled
            Sensors with an open alert or an anomalous recent window.
        """
        slots = self._make_room(len(first_end))
        fresh = _Columns.empty(len(first_end), self.history)
        for place, (sensor_id, end) in enumerate(first_end.items()):
            begin, stop = np.searchsorted(windows.sensor_id, [sensor_id, sensor_id + 1])
            ends = windows.end[begin:stop]
            closed = begin + int(np.searchsorted(ends, end))
            if closed < stop and windows.end[closed] == end:
                fresh.end[place] = end
                fresh.readings[place] = windows.count[closed]
                fresh.total[place] = windows.value[closed] * windows.count[closed]
                fresh.included[place] = number
            oldest = max(begin, closed - self.history)
            if kept := closed - oldest:
                fresh.past_end[place, -kept:] = windows.end[oldest:closed]
                fresh.past_value[place, -kept:] = windows.value[oldest:closed]
            fresh.unsettled[place] = sensor_id in unsettled
            if sensor_id in reported:
                fresh.reported[place] = fresh.scored[place] = True
                self.anomalies[sensor_id] = reported[sensor_id]
        self._columns.put(slots, fresh)
        self._owners[slots] = list(first_end)
        self._slot_of[self._owners[slots]] = slots
        self._used[slots] = self._batch
        self._sensors += len(first_end)

    def touch(self, arrivals: Arrivals) -> Touched:
        """Return the windows that readings belong to, with these readings added; the state does not change.

        Every sensor must have a state (see :meth:`unknown` and :meth:`load`). A reading that a stored window already
        contains is not added again, but its window is scored.
        """
        of_reading = self._slot_of[arrivals.sensor_id]
        order = _order(of_reading, arrivals.end)
        of_reading, arrivals = of_reading[order], arrivals.chosen(order)
        first = np.ones(len(order), np.bool_)
        np.not_equal(of_reading[1:], of_reading[:-1], out=first[1:])
        slots, sensor = of_reading[first], np.cumsum(first) - 1
        after = self._columns.take(slots)
        scored, reported, unsettled = after.scored.copy(), after.reported.copy(), after.unsettled.copy()
        in_time = arrivals.end >= after.end[sensor]
        late = len(in_time) - int(np.count_nonzero(in_time))
        if late:
            sensor, arrivals = sensor[in_time], arrivals.chosen(in_time)
        rounds = list(_rounds(after, sensor, arrivals))
        return Touched(self._owners[slots], rounds, late, scored, reported, unsettled, slots, after)

    def commit(
        self, touched: Touched, scored: Flags, reported: Mapping[int, Anomaly], unsettled: Mapping[int, bool]
    ) -> None:
        """Update the state after the results of a batch are stored.

        Parameters
        ----------
        touched
            Latest result of :meth:`touch`.
        scored
            True if the sensor's open window after the batch was scored, shape ``(n_sensors,)``, bool.
        reported
            Stored anomalies of the open windows, by sensor.
        unsettled
            New value of :attr:`Touched.unsettled` for sensors whose alert state changed.
        """
        after = touched._after
        after.scored[:] = scored
        owners = touched.sensor_id
        for sensor_id in owners[after.reported].tolist():
            self.anomalies.pop(sensor_id, None)
        after.reported[:] = False
        if reported or unsettled:
            place = {sensor_id: at for at, sensor_id in enumerate(owners.tolist())}
            for sensor_id, anomaly in reported.items():
                after.reported[place[sensor_id]] = True
                self.anomalies[sensor_id] = anomaly
            for sensor_id, is_unsettled in unsettled.items():
                after.unsettled[place[sensor_id]] = is_unsettled
        self._columns.put(touched._slots, after)

    def _make_room(self, wanted: int) -> Integers:
        """Return free slots; evict the least recently used sensors if the limit requires it."""
        used = self._sensors
        if used + wanted <= len(self._owners):
            return np.arange(used, used + wanted)
        if used + wanted > self.limit and used:
            self._evict(min(used, max(used + wanted - self.limit, self.limit // 8)))
            used = self._sensors
        size = max(used + wanted, min(2 * len(self._owners), self.limit))
        if size > len(self._owners):
            grown = _Columns.empty(size, self.history)
            grown.put(np.arange(used), self._columns.take(np.arange(used)))
            self._columns = grown
            self._owners = np.concatenate((self._owners[:used], np.zeros(size - used, np.int64)))
            self._used = np.concatenate((self._used[:used], np.zeros(size - used, np.int64)))
        return np.arange(used, used + wanted)

    def _evict(self, number: int) -> None:
        """Evict up to ``number`` sensors that are not in the current batch, and move the others to the front."""
        used = self._sensors
        order = np.argsort(self._used[:used], kind="stable")
        number = min(number, int(np.count_nonzero(self._used[:used] < self._batch)))
        evicted = self._owners[order[:number]]
        self._slot_of[evicted] = _NO_SLOT
        for sensor_id in evicted.tolist():
            self.anomalies.pop(sensor_id, None)
        kept = np.sort(order[number:])
        self._columns.put(np.arange(len(kept)), self._columns.take(kept))
        self._owners[: len(kept)] = self._owners[kept]
        self._used[: len(kept)] = self._used[kept]
        self._slot_of[self._owners[: len(kept)]] = np.arange(len(kept))
        self._sensors = len(kept)


def _order(slot: Integers, end: Integers) -> Integers:
    """Return the positions that sort readings by slot and window end."""
    first = int(end.min())
    span = int(end.max()) - first + 1
    # Sorting one combined key takes half the time of two; slots and spans of a batch cannot overflow it.
    return np.argsort(slot * span + (end - first), kind="stable")


def _rounds(after: _Columns, sensor: Integers, arrivals: Arrivals) -> Iterator[Round]:
    """Yield the windows of sorted readings, at most one per sensor in a round, and update ``after`` with them."""
    number, end = arrivals.number, arrivals.end
    if not len(end):
        return
    adds = (end != after.end[sensor]) | (number > after.included[sensor])
    value = np.where(adds, arrivals.value, 0.0)
    new_sensor = np.ones(len(sensor), np.bool_)
    np.not_equal(sensor[1:], sensor[:-1], out=new_sensor[1:])
    new_window = new_sensor.copy()
    new_window[1:] |= end[1:] != end[:-1]
    starts = np.flatnonzero(new_window)
    added, total = np.add.reduceat(adds.astype(np.int64), starts), np.add.reduceat(value, starts)
    arrived = np.diff(np.append(starts, len(sensor)))
    sensor, end = sensor[starts], end[starts]
    if len(starts) == np.count_nonzero(new_sensor):
        yield _take_round(after, sensor, end, added, total, arrived)
        return
    windows = np.arange(len(starts))
    rank = windows - np.maximum.accumulate(np.where(new_sensor[starts], windows, 0))
    for turn in range(int(rank.max()) + 1):
        rows = np.flatnonzero(rank == turn)
        yield _take_round(after, sensor[rows], end[rows], added[rows], total[rows], arrived[rows])


def _take_round(
    after: _Columns, sensor: Integers, end: Integers, added: Integers, total: Floats, arrived: Integers
) -> Round:
    before = after.end[sensor]
    opens = before != end
    closes = np.where(opens, before, NO_WINDOW)
    closing = sensor[closes != NO_WINDOW]
    if len(closing):
        after.past_end[closing, :-1] = after.past_end[closing, 1:]
        after.past_value[closing, :-1] = after.past_value[closing, 1:]
        after.past_end[closing, -1] = after.end[closing]
        after.past_value[closing, -1] = after.total[closing] / after.readings[closing]
    readings = np.where(opens, added, after.readings[sensor] + added)
    sums = np.where(opens, total, after.total[sensor] + total)
    after.end[sensor], after.readings[sensor], after.total[sensor] = end, readings, sums
    after.included[sensor[opens]] = -1
    return Round(
        sensor, end, sums / readings, readings, arrived, closes, after.past_end[sensor], after.past_value[sensor]
    )
