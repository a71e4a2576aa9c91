"""What is remembered of the sensors of one partition: their open windows, and the last ones before them.

A window's score in real time is that of the mean of its readings so far: after the last of them it is the very score
that batch scoring gives. So every batch of events touches some windows, and each of these is scored once, with all its
readings.

Nothing here changes until the outcome of a batch is stored (:meth:`OpenWindows.settle`): a batch that failed can be
taken in again from the same state.
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
"""In place of a window's end where there is none; before all times, and far enough from the limits to reckon with."""

_NO_SLOT = -1


class Arrivals(NamedTuple):
    """Readings of a batch as columns of shape ``(n_readings,)``.

    ``number`` is the sequence number of a reading's event, ``end`` its window's end in seconds since
    1970-01-01T00:00:00Z.
    """

    number: Integers
    sensor_id: Integers
    end: Integers
    value: Floats

    def chosen(self, rows: Flags | Integers) -> Arrivals:
        """Return some of them."""
        return Arrivals(self.number[rows], self.sensor_id[rows], self.end[rows], self.value[rows])


class Round(NamedTuple):
    """Windows of as many sensors; a batch with several windows of a sensor has several rounds.

    Attributes
    ----------
    sensor
        Position among the batch's sensors, shape ``(n,)``.
    end, value, readings
        The window's end, the mean of its readings so far, and their number.
    arrived
        How many of them came with this batch.
    closes
        End of the sensor's window before this one, if this one is its first after that; else :data:`NO_WINDOW`.
    past_end, past_value
        The closed windows before it, oldest first, shape ``(n, history)``; :data:`NO_WINDOW` where there are fewer.
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
    """State of sensors as columns; ``history`` closed windows are kept of each."""

    end: Integers
    readings: Integers
    total: Floats
    included: Integers
    past_end: Integers
    past_value: Floats
    scored: Flags
    reported: Flags
    watched: Flags

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
    """The windows that a batch's readings belong to, before they are settled.

    Attributes
    ----------
    sensor_id
        The batch's sensors, shape ``(n_sensors,)``.
    rounds
        Their windows.
    late
        Readings that are behind their sensor's open window: scoring in real time has passed theirs.
    scored, reported
        Of each sensor's open window before the batch: whether it was scored, and whether an anomaly was stored of it;
        shape ``(n_sensors,)``.
    watched
        Of each sensor: whether its alert state counts on its normal windows as well.
    """

    sensor_id: Integers
    rounds: Sequence[Round]
    late: int
    scored: Flags
    reported: Flags
    watched: Flags
    _slots: Integers
    _after: _Columns


@dataclass(slots=True)
class OpenWindows:
    """The sensors of one partition, at most ``limit`` of them: those not heard of for longest are forgotten.

    A single batch with more sensors than that is remembered as a whole.

    Parameters
    ----------
    history
        Closed windows that are kept of each sensor.
    limit
        Sensors that are kept.
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
        """Return those of a batch's sensors that nothing is remembered of, once each; the others are in use now."""
        self._batch += 1
        missing = int(sensor_ids.max()) + 1 - len(self._slot_of)
        if missing > 0:
            # Ids are dense, so a place for each costs little, and finding many at once costs least.
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
        watched: set[int],
    ) -> None:
        """Begin to remember sensors, from what is stored of them.

        Parameters
        ----------
        first_end
            The sensors, each with the end of the first window that they are wanted from: that is their open one.
        windows
            Their stored windows up to those, ordered by (sensor_id, end).
        number
            The sequence number up to which the partition's events are in these windows.
        reported
            The anomalies stored of the open windows, by sensor.
        watched
            The sensors whose alert state counts on their normal windows as well.
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
            fresh.watched[place] = sensor_id in watched
            if sensor_id in reported:
                fresh.reported[place] = fresh.scored[place] = True
                self.anomalies[sensor_id] = reported[sensor_id]
        self._columns.put(slots, fresh)
        self._owners[slots] = list(first_end)
        self._slot_of[self._owners[slots]] = slots
        self._used[slots] = self._batch
        self._sensors += len(first_end)

    def take_in(self, arrivals: Arrivals) -> Touched:
        """Return the windows that readings belong to, with these readings; nothing is changed yet.

        All sensors are remembered (:meth:`load`). A reading whose event is among those that the stored window was made
        of is not added again, but its window is scored.
        """
        of_reading = self._slot_of[arrivals.sensor_id]
        order = _order(of_reading, arrivals.end)
        of_reading, arrivals = of_reading[order], arrivals.chosen(order)
        first = np.ones(len(order), np.bool_)
        np.not_equal(of_reading[1:], of_reading[:-1], out=first[1:])
        slots, sensor = of_reading[first], np.cumsum(first) - 1
        after = self._columns.take(slots)
        scored, reported, watched = after.scored.copy(), after.reported.copy(), after.watched.copy()
        in_time = arrivals.end >= after.end[sensor]
        late = len(in_time) - int(np.count_nonzero(in_time))
        if late:
            sensor, arrivals = sensor[in_time], arrivals.chosen(in_time)
        rounds = list(_rounds(after, sensor, arrivals))
        return Touched(self._owners[slots], rounds, late, scored, reported, watched, slots, after)

    def settle(
        self, touched: Touched, scored: Flags, reported: Mapping[int, Anomaly], watched: Mapping[int, bool]
    ) -> None:
        """Keep what a batch came to, once its consequences are stored.

        Parameters
        ----------
        touched
            What :meth:`take_in` returned last.
        scored
            Of each of its sensors: whether the window that is open now was scored, shape ``(n_sensors,)``.
        reported
            The anomalies of those open windows that are stored as such, by sensor.
        watched
            Sensors whose being watched may have changed.
        """
        after = touched._after
        after.scored[:] = scored
        owners = touched.sensor_id
        for sensor_id in owners[after.reported].tolist():
            self.anomalies.pop(sensor_id, None)
        after.reported[:] = False
        if reported or watched:
            place = {sensor_id: at for at, sensor_id in enumerate(owners.tolist())}
            for sensor_id, anomaly in reported.items():
                after.reported[place[sensor_id]] = True
                self.anomalies[sensor_id] = anomaly
            for sensor_id, is_watched in watched.items():
                after.watched[place[sensor_id]] = is_watched
        self._columns.put(touched._slots, after)

    def _make_room(self, wanted: int) -> Integers:
        """Return free slots; sensors that were not heard of for longest give theirs."""
        used = self._sensors
        if used + wanted <= len(self._owners):
            return np.arange(used, used + wanted)
        if used + wanted > self.limit and used:
            self._forget(min(used, max(used + wanted - self.limit, self.limit // 8)))
            used = self._sensors
        size = max(used + wanted, min(2 * len(self._owners), self.limit))
        if size > len(self._owners):
            grown = _Columns.empty(size, self.history)
            grown.put(np.arange(used), self._columns.take(np.arange(used)))
            self._columns = grown
            self._owners = np.concatenate((self._owners[:used], np.zeros(size - used, np.int64)))
            self._used = np.concatenate((self._used[:used], np.zeros(size - used, np.int64)))
        return np.arange(used, used + wanted)

    def _forget(self, number: int) -> None:
        """Forget so many sensors, none of the batch in hand among them, and put the others together at the front."""
        used = self._sensors
        order = np.argsort(self._used[:used], kind="stable")
        number = min(number, int(np.count_nonzero(self._used[:used] < self._batch)))
        forgotten = self._owners[order[:number]]
        self._slot_of[forgotten] = _NO_SLOT
        for sensor_id in forgotten.tolist():
            self.anomalies.pop(sensor_id, None)
        kept = np.sort(order[number:])
        self._columns.put(np.arange(len(kept)), self._columns.take(kept))
        self._owners[: len(kept)] = self._owners[kept]
        self._used[: len(kept)] = self._used[kept]
        self._slot_of[self._owners[: len(kept)]] = np.arange(len(kept))
        self._sensors = len(kept)


def _order(slot: Integers, end: Integers) -> Integers:
    """Return the order by slot and end."""
    first = int(end.min())
    span = int(end.max()) - first + 1
    # One number for both is sorted in half the time; slots and spans of a batch are far from overflowing it.
    return np.argsort(slot * span + (end - first), kind="stable")


def _rounds(after: _Columns, sensor: Integers, arrivals: Arrivals) -> Iterator[Round]:
    """Take ordered readings in, window after window of each sensor; ``after`` goes along."""
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
