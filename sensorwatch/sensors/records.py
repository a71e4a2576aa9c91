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
    """Usual spacing of a sensor's windows, learned from its training windows.

    ``interval_seconds`` is the median time from one window to the next, ``gap_seconds`` the longest usual one: the
    99.5th percentile (None: learned by a version that did not know it). ``flat_seconds`` is the longest time for which
    windows stayed equal, None for a sensor that never varied.
    """

    sensor_id: int
    interval_seconds: int
    flat_seconds: int | None
    gap_seconds: int | None = None

    @property
    def usual_gap_seconds(self) -> int:
        """The longest usual gap; the interval where it is not known."""
        return self.interval_seconds if self.gap_seconds is None else max(self.interval_seconds, self.gap_seconds)
