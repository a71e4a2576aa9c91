"""Simulated fleets whose signals label their own anomalous readings.

Reading number ``n`` of every sensor is in the middle of the ``n``-th interval since 1970-01-01T00:00:00Z. Labels cover
whole intervals. So if windows are as long as the interval, labels cover whole windows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.simulation.anomalies import InjectedAnomaly
from sensorwatch.simulation.labelled_values import ReadingSpan

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from sensorwatch.sensors.records import SensorKey
    from sensorwatch.simulation.anomalies import LabelKind
    from sensorwatch.simulation.labelled_values import LabelledValues

__all__ = ["SelfLabelledFleet"]

_CHUNK_READINGS = 500_000
_DECIMALS = 6


class SelfLabelledFleet(ABC):
    """Sensors with readings at the same times; the same seed gives the same readings.

    Attributes
    ----------
    label_kind
        Kind of the labels.
    interval_seconds
        Time between two readings of a sensor, in seconds, at least 0.001.
    seed
        Seed of all random numbers.
    """

    label_kind: ClassVar[LabelKind]
    interval_seconds: float
    seed: int

    @property
    @abstractmethod
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors."""

    @abstractmethod
    def _emit(self, sensor: SensorKey, span: ReadingSpan) -> LabelledValues:
        """Return the readings of a sensor; the names of ``span`` are seed, device and tag."""

    def readings(self, start: datetime, end: datetime) -> Iterator[Reading]:
        """Yield the readings with ``start <= time < end`` (aware), oldest first.

        The readings don't depend on how a time is divided into ranges.
        """
        first, last = self._number_at(start), self._number_at(end)
        sensors = self.sensors
        step = max(_CHUNK_READINGS // len(sensors), 1)
        for begin in range(first, last, step):
            finish = min(begin + step, last)
            chunk = np.stack([self._values(sensor, begin, finish).values for sensor in sensors], axis=1)
            rows = zip(self._ticks(begin, finish).tolist(), chunk.round(_DECIMALS).tolist(), strict=True)
            for ticks, values in rows:
                for (device, tag), value in zip(sensors, values, strict=True):
                    yield Reading(device, tag, ticks, value)

    def labels(self, start: datetime, end: datetime) -> list[InjectedAnomaly]:
        """Return the labels of the anomalous readings with ``start <= time < end`` (aware), ordered by start.

        A label covers the whole intervals of its readings.
        """
        first, last = self._number_at(start), self._number_at(end)
        found = []
        for sensor in self.sensors:
            marked = np.concatenate(([False], self._values(sensor, first, last).anomalous, [False]))
            begins, ends = (np.flatnonzero(marked[1:] & ~marked[:-1]), np.flatnonzero(~marked[1:] & marked[:-1]))
            found += [
                InjectedAnomaly(
                    *sensor, self.label_kind, self._time(start, first + begin), self._time(start, first + finish)
                )
                for begin, finish in zip(begins.tolist(), ends.tolist(), strict=True)
            ]
        return sorted(found, key=lambda label: (label.start, label.device, label.tag))

    def _check_interval(self) -> None:
        if self.interval_seconds < 0.001:
            raise InvalidInputError(f"interval_seconds must be at least 0.001, got `{self.interval_seconds}`")

    @property
    def _interval_ticks(self) -> int:
        return round(self.interval_seconds * TICKS_PER_SECOND)

    def _values(self, sensor: SensorKey, first: int, last: int) -> LabelledValues:
        """Return the readings of a sensor with numbers from ``first`` (inclusive) to ``last`` (exclusive)."""
        seconds = self._ticks(first, last) / TICKS_PER_SECOND
        return self._emit(sensor, ReadingSpan(first, seconds, (self.seed, *sensor)))

    def _ticks(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """Return the times of readings, in ticks of 100 ns."""
        return np.arange(first, last, dtype=np.int64) * self._interval_ticks + self._interval_ticks // 2

    def _number_at(self, time: datetime) -> int:
        """Return the number of the first reading at or after a time."""
        return -((self._interval_ticks // 2 - ticks_of(time)) // self._interval_ticks)

    def _time(self, near: datetime, number: int) -> datetime:
        """Return the start of a reading's interval, in the time zone of ``near``."""
        return near + timedelta(microseconds=(number * self._interval_ticks - ticks_of(near)) // 10)
