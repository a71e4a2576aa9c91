"""Models, and what training says of the sensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import numpy.typing as npt

    from sensorwatch.records.ingestion import SensorKey

__all__ = ["ModelRef", "SensorState", "SensorStatus", "TrainingOutcome", "WindowColumns"]

SensorState = Literal["no-data", "warming", "ready", "stale", "failed"]
"""Where a sensor stands on the way to a usable model."""


@dataclass(frozen=True, slots=True)
class WindowColumns:
    """Windows of a shard as columns, ordered by (sensor_id, end); every array has shape ``(n_windows,)``.

    ``end`` is in seconds since 1970-01-01T00:00:00Z, ``value`` is the mean of the window's readings.
    """

    sensor_id: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """An immutable version of a shard's models; ``version`` sorts by time of training."""

    shard: int
    version: str


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
