"""Simulated fleet: readings ordered by time, with or without injected faults."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.sensors.records import SensorKey
from sensorwatch.simulation.anomalies import disturb
from sensorwatch.simulation.signals import clean_values, generator, signal_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import numpy.typing as npt

    from sensorwatch.simulation.anomalies import InjectedAnomaly

__all__ = ["DEFAULT_TAGS", "Fleet", "FleetColumns", "device_names", "tag_names"]

DEFAULT_TAGS = ("temperature", "pressure", "vibration", "current", "flow")
_MACHINES = ("press", "pump", "oven", "mill", "lathe", "mixer", "boiler", "fan")
_CHUNK_READINGS = 500_000


class FleetColumns(NamedTuple):
    """Readings as columns ordered by time; every array has shape ``(n_readings,)``.

    Attributes
    ----------
    ticks
        Times in units of 100 ns since 1970-01-01T00:00:00Z, int64.
    sensor
        Positions in the fleet's ``sensors``, int64.
    value
        Values, float64.
    """

    ticks: npt.NDArray[np.int64]
    sensor: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


def device_names(count: int) -> tuple[str, ...]:
    """Return names of devices: ``press-1``, ``pump-2``, ``oven-3`` and so on."""
    return tuple(f"{_MACHINES[number % len(_MACHINES)]}-{number + 1}" for number in range(count))


def tag_names(count: int) -> tuple[str, ...]:
    """Return names of tags: the five default ones, then ``tag-6`` and so on."""
    return (*DEFAULT_TAGS, *(f"tag-{number + 1}" for number in range(len(DEFAULT_TAGS), count)))[:count]


@dataclass(frozen=True)
class Fleet:
    """Sensors with readings at a constant interval, each with its own phase; the same seed gives the same readings.

    Attributes
    ----------
    devices, tags
        Names of the devices and of the tags that every device has.
    interval_seconds
        Time between two readings of a sensor, in seconds, at least 0.001.
    seed
        Seed of all random numbers.
    """

    devices: tuple[str, ...] = device_names(3)
    tags: tuple[str, ...] = DEFAULT_TAGS
    interval_seconds: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.interval_seconds < 0.001:
            raise InvalidInputError(f"interval_seconds must be at least 0.001, got `{self.interval_seconds}`")
        if not self.sensors:
            raise InvalidInputError("a fleet needs at least one device and one tag")

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors, device by device."""
        return tuple(SensorKey(device, tag) for device in self.devices for tag in self.tags)

    def readings(self, start: datetime, end: datetime, anomalies: Sequence[InjectedAnomaly] = ()) -> Iterator[Reading]:
        """Yield the readings with ``start <= time < end`` (aware), oldest first.

        Parameters
        ----------
        start, end, anomalies
            As in :meth:`columns`.
        """
        sensors = self.sensors
        first, last = ticks_of(start), ticks_of(end)
        step = max(_CHUNK_READINGS // len(sensors), 1) * self._interval_ticks
        for begin in range(first, last, step):
            ticks, positions, values = self._columns(begin, min(begin + step, last), anomalies)
            for tick, position, value in zip(ticks.tolist(), positions.tolist(), values.tolist(), strict=True):
                device, tag = sensors[position]
                yield Reading(device, tag, tick, value)

    def columns(self, start: datetime, end: datetime, anomalies: Sequence[InjectedAnomaly] = ()) -> FleetColumns:
        """Return the readings with ``start <= time < end``, oldest first.

        The readings don't depend on how a time is divided into ranges.

        Parameters
        ----------
        start
            Inclusive start of the range (aware).
        end
            Exclusive end of the range (aware).
        anomalies
            Faults that disturb the readings. Faults outside the range and of unknown sensors are ignored.
        """
        return self._columns(ticks_of(start), ticks_of(end), anomalies)

    @property
    def _interval_ticks(self) -> int:
        return round(self.interval_seconds * TICKS_PER_SECOND)

    def _columns(self, start: int, end: int, anomalies: Sequence[InjectedAnomaly]) -> FleetColumns:
        parts = [
            self._sensor_columns(position, sensor, start, end, anomalies)
            for position, sensor in enumerate(self.sensors)
        ]
        ticks = np.concatenate([part.ticks for part in parts])
        order = np.argsort(ticks, kind="stable")
        return FleetColumns(
            ticks[order],
            np.concatenate([part.sensor for part in parts])[order],
            np.concatenate([part.value for part in parts])[order],
        )

    def _sensor_columns(
        self, position: int, sensor: SensorKey, start: int, end: int, anomalies: Sequence[InjectedAnomaly]
    ) -> FleetColumns:
        first, stop = self._number_at(sensor, start), self._number_at(sensor, end)
        values = self._clean(sensor, first, stop)
        for anomaly in anomalies:
            if (anomaly.device, anomaly.tag) == sensor and anomaly.kind != "busy" and anomaly.kind != "marked":
                begin, finish = (self._number_at(sensor, ticks_of(time)) for time in (anomaly.start, anomaly.end))
                low, high = max(begin, first), min(finish, stop)
                if low < high:
                    rng = generator(self.seed, "disturb", *sensor, anomaly.kind, ticks_of(anomaly.start))
                    clean = self._clean(sensor, begin - 1, finish)
                    disturbed = disturb(anomaly.kind, clean, signal_of(*sensor, self.seed), rng)
                    values[low - first : high - first] = disturbed[low - begin : high - begin]
        return FleetColumns(self._ticks(sensor, first, stop), np.full(stop - first, position), values)

    def _clean(self, sensor: SensorKey, first: int, stop: int) -> npt.NDArray[np.float64]:
        seconds = self._ticks(sensor, first, stop) / TICKS_PER_SECOND
        device, tag = sensor
        return clean_values(signal_of(device, tag, self.seed), first, seconds, seed=self.seed, device=device, tag=tag)

    def _ticks(self, sensor: SensorKey, first: int, stop: int) -> npt.NDArray[np.int64]:
        return np.arange(first, stop, dtype=np.int64) * self._interval_ticks + self._phase(sensor)

    def _number_at(self, sensor: SensorKey, ticks: int) -> int:
        """Return the number of a sensor's first reading at or after a time."""
        return -((self._phase(sensor) - ticks) // self._interval_ticks)

    def _phase(self, sensor: SensorKey) -> int:
        return _phase(self.seed, *sensor, self._interval_ticks)


@lru_cache(maxsize=1_000_000)
def _phase(seed: int, device: str, tag: str, interval_ticks: int) -> int:
    return int(generator(seed, "phase", device, tag).integers(0, interval_ticks))
