"""Port of real-time scoring: its results and its status in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sensorwatch.alerts.records import AlertChanges, AlertState, Anomaly, PublishOutcome
    from sensorwatch.ingestion.records import Partition
    from sensorwatch.realtime.records import ModelUse, RefusedVersion, ServedWindow, ServingCounts, ServingStatus

__all__ = ["ServingStore"]


class ServingStore(Protocol):
    """Store of the results and the status of real-time scoring."""

    def publish_served(
        self,
        windows: Sequence[ServedWindow],
        anomalies: Sequence[Anomaly],
        withdrawn: Sequence[tuple[int, int]],
        sensor_ids: Collection[int],
        decide: Callable[[Mapping[int, AlertState]], AlertChanges],
    ) -> PublishOutcome:
        """Store the results of a batch in one transaction.

        Batch scoring has precedence: anomalies of windows up to the end of its newest planned run are neither stored
        nor withdrawn.

        Parameters
        ----------
        windows
            Scored windows, stored by (sensor_id, end, readings); a record with the same key is replaced.
        anomalies
            Anomalies to store.
        withdrawn
            Anomalies to delete, by (sensor_id, end).
        sensor_ids
            Sensors whose alert states ``decide`` receives.
        decide
            Function from the stored alert states to their changes; called inside the transaction.

        Returns
        -------
        PublishOutcome
            Numbers of anomalies added and removed, and of alerts opened and cleared.
        """
        ...

    def served_anomalies(self, sensor_ids: Collection[int], first_end: int, last_end: int) -> list[Anomaly]:
        """Return the anomalies of sensors found in real time.

        Parameters
        ----------
        sensor_ids
            The sensors.
        first_end, last_end
            First and last window end, both inclusive, in seconds since 1970-01-01T00:00:00Z.
        """
        ...

    def unsettled_sensors(self, sensor_ids: Collection[int]) -> set[int]:
        """Return the sensors with an open alert or an anomalous recent window."""
        ...

    def add_serving(self, counts: Mapping[Partition, ServingCounts], uses: Sequence[ModelUse], now: datetime) -> None:
        """Add counts and model statistics to the stored totals.

        Parameters
        ----------
        counts
            Counts of readings by partition.
        uses
            Model statistics, merged with the stored ones by :meth:`ModelUse.add`.
        now
            Current time (UTC).
        """
        ...

    def serving_status(self) -> list[ServingStatus]:
        """Return the counts of all partitions, ordered by partition."""
        ...

    def model_uses(self) -> list[ModelUse]:
        """Return the statistics of all models, ordered by model and detector."""
        ...

    def served_windows(self, sensor_id: int | None = None, limit: int = 100) -> list[ServedWindow]:
        """Return scored windows, newest first; for one window, the latest score first."""
        ...

    def refuse_version(self, refused: RefusedVersion) -> None:
        """Store a refused version of a shard's models; it replaces an earlier one."""
        ...

    def accept_version(self, model: str, shard: int) -> None:
        """Delete the refused version of a shard's models, because its current version is served."""
        ...

    def refused_versions(self) -> list[RefusedVersion]:
        """Return the refused versions, ordered by model and shard."""
        ...
