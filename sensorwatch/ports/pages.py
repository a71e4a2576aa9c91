"""The store as people browse it: newest first, page by page, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sensorwatch.alert_records import AlertFilter, HandledAlert
    from sensorwatch.page_records import (
        AlertCounts,
        AnomalyQuery,
        EndKey,
        IncidentSummary,
        RiskKey,
        RunKey,
        ShardSize,
        WindowRange,
    )
    from sensorwatch.records import (
        Anomaly,
        Kind,
        RunSummary,
        SensorStatus,
        TaskSummary,
        WindowColumns,
    )
    from sensorwatch.records.machines import MachineInfo, MachineRisk

__all__ = ["AlertPages", "FleetPages", "MachinePages", "Pages", "RunPages", "SensorHistory"]


class AlertPages(Protocol):
    """Anomalies, alerts and incidents, newest first; ties by id, the highest first."""

    def anomaly_page(self, query: AnomalyQuery, limit: int) -> list[Anomaly]:
        """Return anomalies by the end of their window, then by sensor."""
        ...

    def anomaly(self, sensor_id: int, end: int) -> Anomaly:
        """Return the anomaly of a window by its end, in seconds since 1970-01-01T00:00:00Z.

        Raises
        ------
        NotFoundError
            The window is not anomalous, or does not exist.
        """
        ...

    def alert_page(self, wanted: AlertFilter, limit: int, after: EndKey | None = None) -> list[HandledAlert]:
        """Return alerts by the window that opened them, with what people did."""
        ...

    def incident_page(self, is_open: bool | None, limit: int, after: EndKey | None = None) -> list[IncidentSummary]:
        """Return incidents by the window that opened them."""
        ...

    def incident_summary(self, incident_id: str) -> IncidentSummary:
        """Return one incident.

        Raises
        ------
        NotFoundError
            There is none with this id.
        """
        ...

    def alert_counts(self) -> AlertCounts:
        """Return how many alerts stand where; every condition is there."""
        ...

    def open_alerts(self, sensor_ids: Collection[int]) -> dict[int, list[str]]:
        """Return the severities of the alerts of these sensors that are not resolved; those without are left out."""
        ...


class RunPages(Protocol):
    """Runs and their tasks."""

    def run_page(self, kind: Kind | None, limit: int, after: RunKey | None = None) -> list[RunSummary]:
        """Return runs by when they were created, newest first."""
        ...

    def task_page(self, run_id: str, limit: int, after: str | None = None) -> list[TaskSummary]:
        """Return a run's tasks ordered by task id; empty for an unknown run."""
        ...

    def active_runs(self) -> int:
        """Return how many runs have not ended."""
        ...


class FleetPages(Protocol):
    """The catalogue as a matrix of devices and tags, and as shards."""

    def device_page(self, limit: int, after: str | None = None) -> list[str]:
        """Return the names of devices in order."""
        ...

    def sensors_of(self, devices: Sequence[str]) -> list[SensorStatus]:
        """Return the sensors of these devices, ordered by device and tag."""
        ...

    def shard_page(self, limit: int, after: int | None = None) -> list[ShardSize]:
        """Return the shards in order."""
        ...

    def trained_until(self, shares: Sequence[float]) -> list[datetime | None]:
        """Return up to when (UTC) shares of the sensors with a model are trained at least; None while none has.

        A share is over 0 and at most 1, of the sensors from the one that is trained furthest; its time is that of the
        nearest rank.
        """
        ...

    def failed_sensors(self) -> int:
        """Return how many sensors training could not give a model."""
        ...

    def newest_window(self) -> datetime | None:
        """Return the end (UTC) of the newest window of all sensors, None where there is none."""
        ...


class SensorHistory(Protocol):
    """One sensor's windows."""

    def history_range(self, sensor_id: int) -> WindowRange | None:
        """Return bounds of all its windows, None for a sensor without any."""
        ...

    def sensor_windows(self, sensor_id: int, wanted: WindowRange, window_seconds: int) -> WindowColumns:
        """Return its windows in the range, ordered by their end.

        Parameters
        ----------
        window_seconds
            Length of the windows: those whose end is not a multiple of it may be left out.
        """
        ...


class MachinePages(Protocol):
    """Machines by risk."""

    def machine_page(self, limit: int, after: RiskKey | None = None) -> list[RiskKey]:
        """Return machines by the highest risk of their newest sample, the highest first; ties by id."""
        ...

    def machines_by_id(self, machine_ids: Collection[int]) -> dict[int, MachineInfo]:
        """Return machines by id; unknown ones are left out."""
        ...

    def newest_risks_of(self, machine_ids: Collection[int]) -> list[MachineRisk]:
        """Return the risks of the newest samples of machines, ordered by machine and component."""
        ...


class Pages(AlertPages, RunPages, FleetPages, SensorHistory, MachinePages, Protocol):
    """All that people browse."""
