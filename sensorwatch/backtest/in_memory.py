"""Where the steps' results go when they must leave no trace: models, predictions and alerts in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.alerts.records import PublishOutcome
from sensorwatch.errors import NotFoundError
from sensorwatch.models.records import ModelRef
from sensorwatch.models.table import with_version
from sensorwatch.tasks.prediction_schema import prediction_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pyarrow as pa

    from sensorwatch.alerts.flat_runs import FlatChanges, FlatProgress
    from sensorwatch.alerts.handling import Tolerance
    from sensorwatch.alerts.records import Alert, AlertChanges, AlertState, Anomaly
    from sensorwatch.sensors.records import ReportingProfile
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["MemoryAlerts", "MemoryModels", "MemoryPredictions"]


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

    def reporting_profiles(self, sensor_ids: Collection[int]) -> dict[int, ReportingProfile]:
        """Return nothing: silence and flat lines are judged by the clock, not by models."""
        return {}

    def watch_flat(self, sensor_ids: Collection[int], decide: Callable[[FlatProgress], FlatChanges]) -> tuple[int, int]:
        """Open and clear no alert of a flat line."""
        return 0, 0

    def tolerances(self, sensor_ids: Collection[int]) -> dict[int, list[Tolerance]]:
        """Return nothing: models that are tried have had no feedback yet."""
        return {}
