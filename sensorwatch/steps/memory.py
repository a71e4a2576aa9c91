"""Where the steps' results go when they must leave no trace: models, predictions and alerts in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sensorwatch.errors import NotFoundError
from sensorwatch.ports import SensorStore, WindowStore
from sensorwatch.prediction_columns import prediction_schema
from sensorwatch.records import ModelRef, PublishOutcome, WindowColumns
from sensorwatch.shards import with_version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from sensorwatch.alert_records import Tolerance
    from sensorwatch.label_records import ShardLabels
    from sensorwatch.records import Alert, AlertChanges, AlertState, Anomaly, SensorStatus, TaskSpec, TrainingOutcome
    from sensorwatch.watch_records import FlatChanges, FlatMemory, SensorRhythm

__all__ = ["MemoryAlerts", "MemoryModels", "MemoryPredictions", "PastSource", "PastStore"]


class PastSource(WindowStore, SensorStore, Protocol):
    """Where windows, sensors and labels come from."""

    def shard_labels(self, shard: int, start: datetime | None, end: datetime) -> ShardLabels:
        """As :meth:`sensorwatch.ports.LabelStore.shard_labels`."""
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


class MemoryModels:
    """The models of shards, one version each."""

    def __init__(self, models: Mapping[ModelRef, pa.Table] | None = None) -> None:
        self._models = dict(models or {})

    def publish(
        self, shard: int, models: pa.Table, manifest: Mapping[str, object], previous: ModelRef | None
    ) -> ModelRef:
        """Keep the models of a shard in place of those before."""
        ref = ModelRef(shard, "in-memory")
        self._models = {kept: table for kept, table in self._models.items() if kept.shard != shard}
        self._models[ref] = with_version(models, ref.version)
        return ref

    def point(self, ref: ModelRef, previous: ModelRef | None) -> None:
        """Pass over it: of each shard only one version is kept."""

    def current(self, shard: int) -> ModelRef | None:
        """Return the version that is kept."""
        return next((ref for ref in self._models if ref.shard == shard), None)

    def load(self, ref: ModelRef) -> pa.Table:
        """Return the models of a version."""
        try:
            return self._models[ref]
        except KeyError:
            raise NotFoundError(f"shard {ref.shard}: no version {ref.version} in memory") from None

    def manifest(self, ref: ModelRef) -> dict[str, object]:
        """Return an empty manifest."""
        return {}

    def versions(self, shard: int | None = None) -> list[ModelRef]:
        """Return what is kept."""
        return [ref for ref in self._models if shard in (None, ref.shard)]


class MemoryPredictions:
    """The predictions of the last task."""

    def __init__(self) -> None:
        self.table: pa.Table | None = None

    def write(self, task: TaskSpec, predictions: pa.Table) -> str:
        """Keep a task's predictions, with plain strings as a file gives them back."""
        self.table = predictions.cast(prediction_schema())
        return f"run={task.run_id}/shard={task.shard:06d}"


class MemoryAlerts:
    """The alerts that anomalies give rise to, each as it was left."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self._states: dict[int, AlertState] = {}

    def publish(
        self,
        anomalies: Sequence[Anomaly],
        withdrawn: Sequence[tuple[int, int]],
        sensor_ids: Collection[int],
        decide: Callable[[Mapping[int, AlertState]], AlertChanges],
    ) -> PublishOutcome:
        """Take in what a prediction file changes."""
        wanted = set(sensor_ids)
        changes = decide({sensor_id: state for sensor_id, state in self._states.items() if sensor_id in wanted})
        self._states |= {state.sensor_id: state for state in changes.states}
        self.alerts |= {alert.alert_id: alert for alert in changes.alerts}
        return PublishOutcome(len(anomalies), 0, len(changes.alerts), 0)

    def mark_published(self, name: str) -> None:
        """Pass over the name."""

    def served_anomalies(self, sensor_ids: Collection[int], first_end: int, last_end: int) -> list[Anomaly]:
        """Return nothing: nothing was scored in real time by models that are tried."""
        return []

    def rhythms(self, sensor_ids: Collection[int]) -> dict[int, SensorRhythm]:
        """Return nothing: silence and flat lines are judged by the clock, not by models."""
        return {}

    def watch_flat(self, sensor_ids: Collection[int], decide: Callable[[FlatMemory], FlatChanges]) -> tuple[int, int]:
        """Open and clear no alert of a flat line."""
        return 0, 0

    def tolerances(self, sensor_ids: Collection[int]) -> dict[int, list[Tolerance]]:
        """Return nothing: models that are tried have had no feedback yet."""
        return {}
