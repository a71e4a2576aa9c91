"""Reporting profiles, sensors without data, and flatlines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sensorwatch.alerts.flat_runs import FlatProgress, FlatRun
from sensorwatch.alerts.metrics import count_alerts
from sensorwatch.alerts.no_data import SensorActivity
from sensorwatch.sensors.records import ReportingProfile, SensorKey
from sensorwatch.store.alerts.alerts import AlertPart
from sensorwatch.store.alerts.rows import alert_of, anomaly_of
from sensorwatch.store.connection.database import take_lock
from sensorwatch.store.connection.types import seconds_of
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.tables import alerts, anomalies, flat_progress, flat_runs, reporting_profiles, sensors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sensorwatch.alerts.flat_runs import FlatChanges
    from sensorwatch.alerts.records import Alert, AlertChanges, Anomaly

__all__ = ["WatchPart"]


class WatchPart(AlertPart):
    """Implements :class:`~sensorwatch.alerts.ports.NoDataStore` and ``FlatlineStore``, with reporting profiles."""

    def record_reporting_profiles(self, profiles: Sequence[ReportingProfile]) -> None:
        """Store the reporting profiles of sensors, in place of earlier ones."""
        rows = [
            {
                "SensorId": profile.sensor_id,
                "IntervalSeconds": profile.interval_seconds,
                "FlatSeconds": profile.flat_seconds,
                "GapSeconds": profile.gap_seconds,
            }
            for profile in profiles
        ]
        dialect = self._database.dialect
        self._database.write(lambda connection: dialect.upsert(connection, reporting_profiles, rows, overwrite=True))

    def reporting_profiles(self, sensor_ids: Collection[int]) -> dict[int, ReportingProfile]:
        """Return the reporting profiles of these sensors by id; untrained sensors are left out."""
        return self._database.read(lambda connection: self._profiles(connection, sensor_ids))

    def _profiles(self, connection: sa.Connection, sensor_ids: Collection[int]) -> dict[int, ReportingProfile]:
        if not sensor_ids:
            return {}
        table = reporting_profiles.c
        wanted = value_rows(self._database.dialect, table.SensorId, sensor_ids)
        query = sa.select(reporting_profiles).join_from(wanted, reporting_profiles, table.SensorId == wanted.c.SensorId)
        return {row.SensorId: ReportingProfile(*row) for row in connection.execute(query)}

    def anomalies_between(self, start: datetime, end: datetime) -> list[Anomaly]:
        """Return all anomalies with ``start < end of the window <= end``, ordered by sensor and end."""
        window_end = anomalies.c.TS
        query = (
            sa.select(anomalies)
            .where(window_end > seconds_of(start), window_end <= seconds_of(end))
            .order_by(anomalies.c.SensorId, window_end)
        )
        return self._database.read(lambda connection: [anomaly_of(row) for row in connection.execute(query)])

    def sensors_without_data(
        self, now: int, intervals: float, floor_seconds: int, retired_seconds: int
    ) -> list[SensorActivity]:
        """Scan for sensors without data; see :meth:`~sensorwatch.alerts.ports.NoDataStore.sensors_without_data`."""
        sensor, profile = sensors.c, reporting_profiles.c
        newest = sensor.LastWindow
        query = (
            self._watched()
            .where(newest >= now - retired_seconds, newest < now - floor_seconds)
            .order_by(sensor.SensorId)
        )
        if self._database.engine.dialect.name == "mssql":
            age: sa.ColumnElement[Any] = sa.func.DATEDIFF(
                sa.literal_column("SECOND"), newest, sa.literal(now, newest.type)
            )
        else:
            age = now - sa.type_coerce(newest, sa.BigInteger)
        query = query.where(age > profile.IntervalSeconds * intervals)
        return self._database.read(lambda connection: [_activity(row) for row in connection.execute(query)])

    def open_no_data_alerts(self) -> tuple[dict[str, Alert], dict[int, SensorActivity]]:
        """Return the open alerts of kind ``no-data`` by id, and the current state of their sensors by sensor id."""
        open_ones = sa.select(alerts).where(alerts.c.ClearedEnd.is_(None), alerts.c.Kind == "no-data")

        def work(connection: sa.Connection) -> tuple[dict[str, Alert], dict[int, SensorActivity]]:
            found = {row.AlertId: alert_of(row) for row in connection.execute(open_ones)}
            if not found:
                return {}, {}
            wanted = value_rows(
                self._database.dialect, sensors.c.SensorId, {alert.sensor_id for alert in found.values()}
            )
            query = self._watched().join(wanted, wanted.c.SensorId == sensors.c.SensorId)
            return found, {row.SensorId: _activity(row) for row in connection.execute(query)}

        return self._database.read(work)

    def _watched(self) -> sa.Select[Any]:
        sensor, profile = sensors.c, reporting_profiles.c
        return sa.select(
            sensor.SensorId,
            sensor.Device,
            sensor.Tag,
            sensor.LastWindow,
            profile.IntervalSeconds,
            sa.func.coalesce(profile.GapSeconds, profile.IntervalSeconds).label("Gap"),
        ).join_from(sensors, reporting_profiles, profile.SensorId == sensor.SensorId)

    def settle_alerts(
        self, alert_ids: Collection[str], decide: Callable[[Mapping[str, Alert]], AlertChanges]
    ) -> tuple[int, int]:
        """Open and clear alerts in one transaction; see :meth:`~sensorwatch.alerts.ports.NoDataStore.settle_alerts`.

        It takes the lock of publishing, which opens and clears alerts too.
        """

        def work(connection: sa.Connection) -> tuple[int, int]:
            take_lock(connection, "publish")
            return self._store_alerts(connection, decide(self._alerts(connection, alert_ids)))

        return self._count(work)

    def _count(self, work: Callable[[sa.Connection], tuple[int, int]]) -> tuple[int, int]:
        opened, cleared = self._database.write(work)
        count_alerts(opened, cleared)
        return opened, cleared

    def _alerts(self, connection: sa.Connection, alert_ids: Collection[str]) -> dict[str, Alert]:
        if not alert_ids:
            return {}
        wanted = value_rows(self._database.dialect, alerts.c.AlertId, alert_ids)
        query = sa.select(alerts).join_from(wanted, alerts, alerts.c.AlertId == wanted.c.AlertId)
        return {row.AlertId: alert_of(row) for row in connection.execute(query)}

    def watch_flat(self, sensor_ids: Collection[int], decide: Callable[[FlatProgress], FlatChanges]) -> tuple[int, int]:
        """Apply the flatline rule; see :meth:`~sensorwatch.alerts.ports.FlatlineStore.watch_flat`."""
        if not sensor_ids:
            return 0, 0
        shard = min(sensor_ids) // self._database.shard_size
        dialect, table = self._database.dialect, flat_runs.c

        def work(connection: sa.Connection) -> tuple[int, int]:
            take_lock(connection, "publish")
            until = sa.select(flat_progress.c.Until).where(flat_progress.c.Shard == shard)
            wanted = value_rows(dialect, table.SensorId, sensor_ids)
            query = sa.select(flat_runs).join_from(wanted, flat_runs, table.SensorId == wanted.c.SensorId)
            runs = {row.SensorId: FlatRun(*row) for row in connection.execute(query)}
            progress = FlatProgress(
                until=connection.execute(until).scalar_one_or_none(),
                runs=runs,
                profiles=self._profiles(connection, sensor_ids),
                alerts=self._alerts(connection, {run.alert_id for run in runs.values() if run.alert_id is not None}),
            )
            changes = decide(progress)
            if changes.until != progress.until:
                row = {"Shard": shard, "Until": changes.until}
                dialect.upsert(connection, flat_progress, [row], overwrite=True)
            outcome = self._store_alerts(connection, changes.alerts)
            rows = [
                {"SensorId": run.sensor_id, "Value": run.value, "Since": run.since, "AlertId": run.alert_id}
                for run in changes.runs
            ]
            dialect.upsert(connection, flat_runs, rows, overwrite=True)
            dialect.delete(connection, flat_runs, [{"SensorId": sensor_id} for sensor_id in changes.ended])
            return outcome

        return self._count(work)


def _activity(row: sa.Row[Any]) -> SensorActivity:
    return SensorActivity(row.SensorId, SensorKey(row.Device, row.Tag), row.LastWindow, row.IntervalSeconds, row.Gap)
