"""Generated readings in the format of the original simulator: about 75 bytes each, always the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sensorwatch.ingestion.decode_batch import SensorIds
from sensorwatch.ingestion.records import RawEvent
from sensorwatch.sensors.records import SensorKey

__all__ = ["READINGS_PER_SECOND", "SENSORS", "START", "batches", "bodies", "events", "known_sensors", "names"]

SENSORS = 1_500
START = datetime(2026, 11, 20, 10, tzinfo=UTC)
# Each sensor sends once per second, in turn. No two readings of a batch of 1,000 share a window, the most costly case.
READINGS_PER_SECOND = SENSORS
_TAGS = 10


def names(sensors: int = SENSORS) -> list[tuple[int, int]]:
    """Return the device and the tag of every sensor."""
    return [divmod(sensor, _TAGS) for sensor in range(sensors)]


def bodies(first: int, count: int) -> Iterator[bytes]:
    """Yield the bodies of readings, starting at a number."""
    values = random.Random(first)
    sensors = names()
    for number in range(first, first + count):
        second, part = divmod(number, READINGS_PER_SECOND)
        time = f"{START + timedelta(seconds=second):%Y-%m-%dT%H:%M:%S}.{part * 10**7 // READINGS_PER_SECOND:07}Z"
        device, tag = sensors[number % SENSORS]
        value = values.gauss(80, 5)
        yield b'{"TS": "%b", "Device": %d, "Tag": %d, "Value": %.2f}' % (time.encode(), device, tag, value)


def batches(readings: int, size: int) -> list[list[bytes]]:
    """Return the bodies of readings in batches."""
    return [list(bodies(first, min(size, readings - first))) for first in range(0, readings, size)]


def events(first: int, count: int) -> list[RawEvent]:
    """Return readings as events, starting at a number; each is enqueued a tenth of a second after its time."""
    return [
        RawEvent(number, START + timedelta(seconds=number / READINGS_PER_SECOND + 0.1), body)
        for number, body in enumerate(bodies(first, count), first)
    ]


def known_sensors() -> SensorIds:
    """Return the sensors by id."""
    known = SensorIds()
    for sensor_id, (device, tag) in enumerate(names()):
        known.add(SensorKey(str(device), str(tag)), sensor_id)
    return known
