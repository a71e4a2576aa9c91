"""Scoring in real time: storing what it finds, and how it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sensorwatch.alerts.records import AlertChanges, AlertState, Anomaly, PublishOutcome
    from sensorwatch.ingestion.records import Partition
    from sensorwatch.realtime.records import ModelUse, RefusedVersion, ServedWindow, ServingCounts, ServingStatus
    from sensorwatch.sensors.records import ReportingProfile

__all__ = ["ServingStore"]


class ServingStore(Protocol):
    """What scoring in real time leaves behind."""

    def publish_served(
        self,
        windows: Sequence[ServedWindow],
        anomalies: Sequence[Anomaly],
        withdrawn: Sequence[tuple[int, int]],
        sensor_ids: Collection[int],
        decide: Callable[[Mapping[int, AlertState]], AlertChanges],
    ) -> PublishOutcome:
        """Store a batch's consequences in one transaction, as :meth:`AlertStore.publish` does.

        Anomalies of windows that batch scoring was planned past are left to it: neither stored nor withdrawn.

        Parameters
        ----------
        windows
            What models said; kept by (sensor_id, end, readings).
        """
        ...

    def reporting_profiles(self, sensor_ids: Collection[int]) -> dict[int, ReportingProfile]:
        """As :meth:`sensorwatch.alerts.ports.WatchStore.reporting_profiles`."""
        ...

    def served_anomalies(self, sensor_ids: Collection[int], first_end: int, last_end: int) -> list[Anomaly]:
        """Return the anomalies of these sensors that were found in real time, ``first_end <= end <= last_end``."""
        ...

    def unsettled_sensors(self, sensor_ids: Collection[int]) -> set[int]:
        """Return those of these sensors that have an open alert, or an anomalous window among their recent ones."""
        ...

    def add_serving(self, counts: Mapping[Partition, ServingCounts], uses: Sequence[ModelUse], now: datetime) -> None:
        """Add counts and uses to those stored; ``since`` stays, versions are replaced."""
        ...

    def serving_status(self) -> list[ServingStatus]:
        """Return what became of each partition's readings, ordered by partition."""
        ...

    def model_uses(self) -> list[ModelUse]:
        """Return what each model did, ordered by model and detector."""
        ...

    def served_windows(self, sensor_id: int | None = None, limit: int = 100) -> list[ServedWindow]:
        """Return what models said of windows, the newest first; of one window the last score first."""
        ...

    def refuse_version(self, refused: RefusedVersion) -> None:
        """Note that a version of a shard's models is not served, in place of what was noted of that shard before."""
        ...

    def accept_version(self, model: str, shard: int) -> None:
        """Forget what was noted of a shard's models: its current version is served."""
        ...

    def refused_versions(self) -> list[RefusedVersion]:
        """Return the versions that are not served, ordered by model and shard."""
        ...
