"""Ports of the sensor domain: the catalogue and the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sensorwatch.sensors.labels import ShardLabels
    from sensorwatch.sensors.records import ReportingProfile, SensorStatus, TrainingOutcome

__all__ = ["LabelStore", "ProfileStore", "SensorStore"]


class SensorStore(Protocol):
    """The catalogue of sensors, with their state of training."""

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """Return all sensors, or those of one shard, ordered by id."""
        ...

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """Return sensors by id; unknown ids are left out."""
        ...

    def record_training(self, outcomes: Sequence[TrainingOutcome]) -> None:
        """Store each sensor's state, reason, newest training window and model version.

        If it is a sensor's first training, scoring may already have passed some of its newer windows, because there was
        no model yet. These windows are marked for rescoring in the same transaction.
        """
        ...


class LabelStore(Protocol):
    """Labels for supervised detectors."""

    def shard_labels(self, shard: int, start: datetime | None, end: datetime) -> ShardLabels:
        """Return the labels of a shard's windows.

        Parameters
        ----------
        shard
            The shard.
        start, end
            Bounds of the anomalies: ``start < end of the window <= end``; None: no lower bound. Label spans are not
            bounded.
        """
        ...


class ProfileStore(Protocol):
    """Reporting profiles of sensors."""

    def reporting_profiles(self, sensor_ids: Collection[int]) -> dict[int, ReportingProfile]:
        """Return the reporting profiles of these sensors by id; untrained sensors are left out."""
        ...
