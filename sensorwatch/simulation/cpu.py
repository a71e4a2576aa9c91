"""Simulated processors whose load follows a Markov chain that labels what it emits.

Reading number ``n`` of every processor is taken in the middle of the ``n``-th interval since 1970-01-01T00:00:00Z, so a
label that covers whole intervals covers whole windows, where windows are as long as the interval.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.errors import InvalidInputError
from sensorwatch.readings import TICKS_PER_SECOND, ticks_of
from sensorwatch.records import Reading, SensorKey
from sensorwatch.simulation.anomalies import InjectedAnomaly
from sensorwatch.simulation.markov import MarkovSignal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CpuFleet"]

_TAG = "load"
_CHUNK_READINGS = 500_000
_DECIMALS = 6


@dataclass(frozen=True)
class CpuFleet:
    """Processors ``cpu-1``, ``cpu-2`` and so on, each with the tag ``load``; the same seed gives the same readings.

    Attributes
    ----------
    processors
        How many.
    interval_seconds
        Between two readings of a processor; at least a millisecond.
    seed
        Decides everything random.
    signal
        The chain that all follow, each on its own.
    """

    processors: int = 1
    interval_seconds: float = 5.0
    seed: int = 1
    signal: MarkovSignal = field(default_factory=MarkovSignal)

    def __post_init__(self) -> None:
        if self.interval_seconds < 0.001:
            raise InvalidInputError(f"interval_seconds must be at least 0.001, got `{self.interval_seconds}`")
        if self.processors < 1:
            raise InvalidInputError(f"processors must be at least 1, got `{self.processors}`")

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors."""
        return tuple(SensorKey(f"cpu-{number + 1}", _TAG) for number in range(self.processors))

    def readings(self, start: datetime, end: datetime) -> Iterator[Reading]:
        """Yield the readings with ``start <= time < end`` (aware), oldest first.

        However a time is cut into ranges, the readings are the same.
        """
        first, last = self._number_at(start), self._number_at(end)
        sensors = self.sensors
        step = max(_CHUNK_READINGS // len(sensors), 1)
        for begin in range(first, last, step):
            count = min(step, last - begin)
            chunk = np.stack([self._emit(sensor, begin, count)[0] for sensor in sensors], axis=1).round(_DECIMALS)
            for number, values in enumerate(chunk.tolist(), begin):
                for (device, tag), value in zip(sensors, values, strict=True):
                    yield Reading(device, tag, self._ticks(number), value)

    def labels(self, start: datetime, end: datetime) -> list[InjectedAnomaly]:
        """Return when which processor was busy, of the readings with ``start <= time < end``, ordered by start.

        A label covers the whole intervals of its readings.
        """
        first, last = self._number_at(start), self._number_at(end)
        found = []
        for sensor in self.sensors:
            busy = np.concatenate(([False], self._emit(sensor, first, last - first)[1], [False]))
            begins, ends = (np.flatnonzero(busy[1:] & ~busy[:-1]), np.flatnonzero(~busy[1:] & busy[:-1]))
            found += [
                InjectedAnomaly(*sensor, "busy", self._time(start, first + begin), self._time(start, first + finish))
                for begin, finish in zip(begins.tolist(), ends.tolist(), strict=True)
            ]
        return sorted(found, key=lambda label: (label.start, label.device))

    @property
    def _interval_ticks(self) -> int:
        return round(self.interval_seconds * TICKS_PER_SECOND)

    def _emit(self, sensor: SensorKey, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        return self.signal.emit(first, count, seed=self.seed, device=sensor.device, tag=sensor.tag)

    def _ticks(self, number: int) -> int:
        """Return when a reading is taken."""
        return number * self._interval_ticks + self._interval_ticks // 2

    def _number_at(self, time: datetime) -> int:
        """Return the number of the first reading at or after a time."""
        return -((self._interval_ticks // 2 - ticks_of(time)) // self._interval_ticks)

    def _time(self, near: datetime, number: int) -> datetime:
        """Return when the interval of a reading begins."""
        return near + timedelta(microseconds=(number * self._interval_ticks - ticks_of(near)) // 10)
