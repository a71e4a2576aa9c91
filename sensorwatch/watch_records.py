"""The records of what is watched beside anomalies: silence and flatlines.

Times are in seconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sensorwatch.records import Alert, AlertChanges, SensorKey

__all__ = ["FlatChanges", "FlatMemory", "FlatRun", "SensorRhythm", "SilentSensor"]


class SensorRhythm(NamedTuple):
    """How a sensor's windows usually come, as its training windows had it.

    ``interval_seconds`` is the median time from one to the next. ``flat_seconds`` is how long they stayed equal at
    most, None for a sensor that never varied.
    """

    sensor_id: int
    interval_seconds: int
    flat_seconds: int | None


class SilentSensor(NamedTuple):
    """A sensor with the end of its newest window and its usual interval in seconds."""

    sensor_id: int
    key: SensorKey
    last_window: int
    interval_seconds: int


class FlatRun(NamedTuple):
    """The windows of a sensor that have been equal since the one that ended at ``since``; ``alert_id`` if told of."""

    sensor_id: int
    value: float
    since: int
    alert_id: str | None


@dataclass(frozen=True, slots=True)
class FlatMemory:
    """What is stored of some sensors of one shard.

    ``until`` is the end of the newest window taken in, None before the first; ``runs`` and ``rhythms`` are by sensor,
    ``alerts`` are those of the runs, by id.
    """

    until: int | None
    runs: Mapping[int, FlatRun]
    rhythms: Mapping[int, SensorRhythm]
    alerts: Mapping[str, Alert]


@dataclass(frozen=True, slots=True)
class FlatChanges:
    """What a file's windows change: the runs that are new, the sensors that have none any more, and the alerts."""

    until: int | None
    runs: Sequence[FlatRun]
    ended: Sequence[int]
    alerts: AlertChanges
