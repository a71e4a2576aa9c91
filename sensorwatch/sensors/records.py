"""Sensors: their key, state and status in the catalogue, and the outcome of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


__all__ = ["ReportingProfile", "SensorKey", "SensorState", "SensorStatus", "TrainingOutcome"]


class SensorKey(NamedTuple):
    """A sensor's name on the wire. Integers are kept as their decimal text, so ``2`` and ``"2"`` are one sensor."""

    device: str
    tag: str


SensorState = Literal["no-data", "warming", "ready", "stale", "failed"]
"""Stage of a sensor on the way to a usable model."""


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What training did for one sensor; ``trained_until`` is the end of its newest training window (UTC)."""

    sensor_id: int
    state: SensorState
    reason: str
    trained_until: datetime | None
    model_version: str


@dataclass(frozen=True, slots=True)
class SensorStatus:
    """A sensor of the catalogue with its state; times in UTC.

    ``train_from``: training leaves out windows that end at or before it, as a person said that a new trend began.
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
    """How a sensor's windows usually come, as its training windows had it.

    ``interval_seconds`` is the median time from one to the next. ``flat_seconds`` is how long they stayed equal at
    most, None for a sensor that never varied.
    """

    sensor_id: int
    interval_seconds: int
    flat_seconds: int | None
