"""A read-only view of a store: reads go to the real store, writes are discarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sensorwatch.models.ports import WindowSource
    from sensorwatch.sensors.labels import ShardLabels
    from sensorwatch.sensors.records import ReportingProfile, SensorStatus, TrainingOutcome
    from sensorwatch.sensors.windows import WindowColumns, WindowRange
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["ReadOnlyStore"]


class ReadOnlyStore:
    """Windows and sensors of a store for training and scoring that must not change it.

    No window is marked for rescoring: a past range is read as it is now.

    Parameters
    ----------
    source
        The store to read from.
    """

    def __init__(self, source: WindowSource) -> None:
        self._source = source
        self.profiles: dict[int, ReportingProfile] = {}
        """Reporting profiles that training has learned, by sensor id."""

    def read_windows(self, shard: int, start: datetime | None, end: datetime) -> WindowColumns:
        """Return the store's windows, as :meth:`sensorwatch.sensors.windows.WindowStore.read_windows`."""
        return self._source.read_windows(shard, start, end)

    def read_rescore_windows(self, shard: int, end: datetime) -> WindowColumns:
        """Return no windows."""
        return self._source.read_windows(shard, end, end)

    def history_range(self, sensor_id: int) -> WindowRange | None:
        """Return bounds of the store's windows of a sensor."""
        return self._source.history_range(sensor_id)

    def sensor_windows(self, sensor_id: int, wanted: WindowRange, window_seconds: int) -> WindowColumns:
        """Return the store's windows of a sensor in a range."""
        return self._source.sensor_windows(sensor_id, wanted, window_seconds)

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """Return the store's sensors (of one shard), ordered by id."""
        return self._source.sensors(shard)

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """Return the store's sensors with these ids."""
        return self._source.sensors_by_id(sensor_ids)

    def shard_labels(self, shard: int, start: datetime | None, end: datetime) -> ShardLabels:
        """Return the store's labels, as :meth:`sensorwatch.sensors.ports.LabelStore.shard_labels`."""
        return self._source.shard_labels(shard, start, end)

    def record_training(self, outcomes: Sequence[TrainingOutcome]) -> None:
        """Discard the outcomes of training."""

    def record_reporting_profiles(self, profiles: Sequence[ReportingProfile]) -> None:
        """Keep the reporting profiles in :attr:`profiles` only."""
        self.profiles |= {profile.sensor_id: profile for profile in profiles}

    def is_scored(self, task: TaskSpec) -> bool:
        """Return False: windows that were scored live are scored again."""
        return False

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        """Discard the completion of the task."""
