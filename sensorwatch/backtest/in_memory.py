"""Models, predictions and alerts in memory, for steps whose results are not stored."""

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

__all__ = ["InMemoryAlerts", "InMemoryModels", "InMemoryPredictions"]


class InMemoryModels:
    """A model registry with one version for each shard.

    Parameters
    ----------
    models
        Model tables by their versions; None: none.
    """

    def __init__(self, models: Mapping[ModelRef, pa.Table] | None = None) -> None:
        self._models = dict(models or {})

    def publish(
        self, shard: int, models: pa.Table, manifest: Mapping[str, object], previous: ModelRef | None
    ) -> ModelRef:
        """Replace the models of a shard.

        Parameters
        ----------
        shard
            Number of the shard.
        models
            Its new model table.
        manifest, previous
            Ignored.
        """
        ref = ModelRef(shard, "in-memory")
        self._models = {kept: table for kept, table in self._models.items() if kept.shard != shard}
        self._models[ref] = with_version(models, ref.version)
        return ref

    def point(self, ref: ModelRef, previous: ModelRef | None) -> None:
        """Do nothing: only one version of each shard is kept."""

    def current(self, shard: int) -> ModelRef | None:
        """Return the version of a shard; None if there is none."""
        return next((ref for ref in self._models if ref.shard == shard), None)

    def load(self, ref: ModelRef) -> pa.Table:
        """Return the model table of a version.

        Raises
        ------
        NotFoundError
            There is no such version.
        """
        try:
            return self._models[ref]
        except KeyError:
            raise NotFoundError(f"shard {ref.shard}: no version {ref.version} in memory") from None

    def manifest(self, ref: ModelRef) -> dict[str, object]:
        """Return an empty manifest."""
        return {}

    def versions(self, shard: int | None = None) -> list[ModelRef]:
        """Return all versions (of one shard)."""
        return [ref for ref in self._models if shard in (None, ref.shard)]


class InMemoryPredictions:
    """The predictions of the last task; ``table`` is None if there are none."""

    def __init__(self) -> None:
        self.table: pa.Table | None = None

    def write(self, task: TaskSpec, predictions: pa.Table) -> str:
        """Keep the predictions of a task, with plain strings as in a table that was read from a file."""
        self.table = predictions.cast(prediction_schema())
        return f"run={task.run_id}/shard={task.shard:06d}"


class InMemoryAlerts:
    """Alerts in their last state, by id; anomalies are not kept.

    Parameters
    ----------
    profiles
        Reporting profiles by sensor id, which the quiet period of alerts depends on; None: none.
    """

    def __init__(self, profiles: Mapping[int, ReportingProfile] | None = None) -> None:
        self._profiles = profiles or {}
        self.alerts: dict[str, Alert] = {}
        self._states: dict[int, AlertState] = {}

    def publish(
        self,
        anomalies: Sequence[Anomaly],
        withdrawn: Sequence[tuple[int, int]],
        sensor_ids: Collection[int],
        decide: Callable[[Mapping[int, AlertState]], AlertChanges],
    ) -> PublishOutcome:
        """Apply the changes that a prediction file makes to alerts.

        Parameters
        ----------
        anomalies
            Anomalous windows; only their number is used.
        withdrawn
            Ignored.
        sensor_ids
            Sensors whose alert states ``decide`` needs.
        decide
            Returns the changes from the states of ``sensor_ids``.
        """
        wanted = set(sensor_ids)
        changes = decide({sensor_id: state for sensor_id, state in self._states.items() if sensor_id in wanted})
        self._states |= {state.sensor_id: state for state in changes.states}
        self.alerts |= {alert.alert_id: alert for alert in changes.alerts}
        return PublishOutcome(len(anomalies), 0, len(changes.alerts), 0)

    def mark_published(self, name: str) -> None:
        """Do nothing: published files are not recorded."""

    def served_anomalies(self, sensor_ids: Collection[int], first_end: int, last_end: int) -> list[Anomaly]:
        """Return nothing: models of a backtest score nothing in real time."""
        return []

    def reporting_profiles(self, sensor_ids: Collection[int]) -> dict[int, ReportingProfile]:
        """Return the given profiles of these sensors."""
        return {sensor_id: self._profiles[sensor_id] for sensor_id in sensor_ids if sensor_id in self._profiles}

    def watch_flat(self, sensor_ids: Collection[int], decide: Callable[[FlatProgress], FlatChanges]) -> tuple[int, int]:
        """Open and clear no flat-line alerts."""
        return 0, 0

    def tolerances(self, sensor_ids: Collection[int]) -> dict[int, list[Tolerance]]:
        """Return nothing: there is no feedback on alerts of a backtest."""
        return {}
