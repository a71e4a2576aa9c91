"""Records of sensors: key, state, status, reporting profile, and the outcome of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


__all__ = ["ReportingProfile", "SensorKey", "SensorState", "SensorStatus", "TrainingOutcome"]


class SensorKey(NamedTuple):
    """Device and tag of a sensor. Integers are stored as decimal text, so ``2`` and ``"2"`` are one sensor."""

    device: str
    tag: str


SensorState = Literal["no-data", "warming", "ready", "stale", "failed"]
"""Stage of a sensor on the way to a usable model."""


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """Result of training for one sensor; ``trained_until`` is the end of its newest training window (UTC)."""

    sensor_id: int
    state: SensorState
    reason: str
    trained_until: datetime | None
    model_version: str


@dataclass(frozen=True, slots=True)
class SensorStatus:
    """A sensor of the catalogue with its state. Times are in UTC.

    Attributes
    ----------
    sensor_id
        Id of the sensor; ids are dense, from 0.
    key
        Device and tag.
    shard
        Number of the shard.
    first_seen
        Time at which the sensor was added to the catalogue.
    last_window
        End of the newest window; None without windows.
    state, reason
        State, and why the sensor has it.
    trained_until
        End of the newest training window; None without a model.
    model_version
        Version of the model; empty without one.
    train_from
        Training ignores windows that end at or before this time, because a person reported a new trend; None: no limit.
    """

    sensor_id: int
    key: SensorKey
    shard: int
    first_seen: datetime
    last_window: datetime | None
    state: SensorState
    reason: str
    trained_until: datetime | None
    model_version: str
    train_from: datetime | None = None


class ReportingProfile(NamedTuple):
    """Usual spacing of a sensor's windows, learned from its training windows.

    Attributes
    ----------
    sensor_id
        The sensor.
    interval_seconds
        Median time from one window to the next.
    flat_seconds
        Longest time for which the value stayed the same; None for a sensor that never varied.
    gap_seconds
        Longest usual time from one window to the next: the 99.5th percentile; None if an older version trained the
        sensor.
    """

    sensor_id: int
    interval_seconds: int
    flat_seconds: int | None
    gap_seconds: int | None = None

    @property
    def usual_gap_seconds(self) -> int:
        """Longest usual gap in seconds; the usual interval if it is not known."""
        return self.interval_seconds if self.gap_seconds is None else max(self.interval_seconds, self.gap_seconds)
