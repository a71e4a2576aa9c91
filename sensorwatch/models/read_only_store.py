"""A store as it was at a past moment: reads go to the real one, writes nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sensorwatch.sensors.ports import SensorStore
from sensorwatch.sensors.windows import WindowColumns, WindowStore

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sensorwatch.sensors.labels import ShardLabels
    from sensorwatch.sensors.records import SensorRhythm, SensorStatus, TrainingOutcome
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["PastSource", "PastStore"]


class PastSource(WindowStore, SensorStore, Protocol):
    """Where windows, sensors and labels come from."""

    def shard_labels(self, shard: int, start: datetime | None, end: datetime) -> ShardLabels:
        """As :meth:`sensorwatch.sensors.ports.LabelStore.shard_labels`."""
        ...


class PastStore:
    """Windows and sensors of a store, to train on and to score; what is written goes nowhere.

    No window is marked for scoring again: a past range is read as it is now.
    """

    def __init__(self, source: PastSource) -> None:
        self._source = source

    def read_windows(self, shard: int, start: datetime | None, end: datetime) -> WindowColumns:
        """Return the shard's windows, as the store has them."""
        return self._source.read_windows(shard, start, end)

    def read_rescore_windows(self, shard: int, end: datetime) -> WindowColumns:
        """Return no windows."""
        columns = self._source.read_windows(shard, end, end)
        return WindowColumns(columns.sensor_id[:0], columns.end[:0], columns.value[:0], columns.count[:0])

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """Return the sensors, as the store has them."""
        return self._source.sensors(shard)

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """Return these sensors, as the store has them."""
        return self._source.sensors_by_id(sensor_ids)

    def shard_labels(self, shard: int, start: datetime | None, end: datetime) -> ShardLabels:
        """Return what is known of the shard's windows today."""
        return self._source.shard_labels(shard, start, end)

    def record_training(self, outcomes: Sequence[TrainingOutcome]) -> None:
        """Pass over what training did."""

    def record_rhythms(self, rhythms: Sequence[SensorRhythm]) -> None:
        """Pass over how the sensors report."""

    def is_scored(self, task: TaskSpec) -> bool:
        """Return False: what was scored live is scored again."""
        return False

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        """Pass over what was scored."""
