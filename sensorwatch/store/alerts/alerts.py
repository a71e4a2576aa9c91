"""Anomalies and alerts, and reading them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from sensorwatch.alerts.metrics import count_published
from sensorwatch.alerts.records import AlertState, PublishOutcome
from sensorwatch.store.alerts.rows import alert_of, anomaly_of, anomaly_row, notification_of
from sensorwatch.store.alerts.writer import AlertWriter
from sensorwatch.store.connection.database import StorePart, take_lock
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.tables import alert_states, alerts, anomalies, notifications, published_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sensorwatch.alerts.records import Alert, AlertChanges, Anomaly, Notification

__all__ = ["AlertPart"]

_SCORES = msgspec.json.Decoder(tuple[float | None, ...])


class AlertPart(StorePart):
    """Implements :class:`~sensorwatch.alerts.ports.AlertStore`."""

    def publish(
        self,
        anomalies: Sequence[Anomaly],
        withdrawn: Sequence[tuple[int, int]],
        sensor_ids: Collection[int],
        decide: Callable[[Mapping[int, AlertState]], AlertChanges],
    ) -> PublishOutcome:
        """Publish a prediction file; see :meth:`~sensorwatch.alerts.ports.AlertStore.publish`.

        A store-wide lock serializes all publications. Otherwise two that read the same state would both open an alert.
        A lock on the rows of the states is not enough, because a sensor's first state has no row yet.
        """

        def work(connection: sa.Connection) -> PublishOutcome:
            take_lock(connection, "publish")
            changes = decide(self._states(connection, sensor_ids))
            opened, cleared = self._store_alerts(connection, changes)
            removed, added = self._store_anomalies(connection, anomalies, withdrawn)
            return PublishOutcome(added, removed, opened, cleared)

        outcome = self._database.write(work)
        count_published(outcome)
        return outcome

    def _states(self, connection: sa.Connection, sensor_ids: Collection[int]) -> dict[int, AlertState]:
        if not sensor_ids:
            return {}
        state, dialect = alert_states.c, self._database.dialect
        wanted = value_rows(dialect, state.SensorId, set(sensor_ids))
        query = sa.select(state.SensorId.label("Sensor"), state.LastEnd, state.RecentScores, *alerts.c).select_from(
            wanted.join(alert_states, state.SensorId == wanted.c.SensorId).outerjoin(
                alerts, alerts.c.AlertId == state.AlertId
            )
        )
        return {
            row.Sensor: AlertState(
                sensor_id=row.Sensor,
                last_end=row.LastEnd,
                recent_scores=_SCORES.decode(row.RecentScores),
                alert=None if row.AlertId is None else alert_of(row),
            )
            for row in connection.execute(query)
        }

    def _store_alerts(self, connection: sa.Connection, changes: AlertChanges) -> tuple[int, int]:
        """Return the numbers of alerts opened and cleared."""
        return self._writer(connection).store(changes)

    def _writer(self, connection: sa.Connection) -> AlertWriter:
        database = self._database
        return AlertWriter(connection, database.dialect, database.incident_rules, database.clock())

    def _store_anomalies(
        self, connection: sa.Connection, found: Sequence[Anomaly], withdrawn: Sequence[tuple[int, int]]
    ) -> tuple[int, int]:
        """Return the numbers of anomalies removed and added."""
        dialect = self._database.dialect
        rows = {(anomaly.sensor_id, anomaly.end): anomaly_row(anomaly) for anomaly in found}
        normal = [
            {"SensorId": sensor_id, "TS": end}
            for sensor_id, end in dict.fromkeys(withdrawn)
            if (sensor_id, end) not in rows
        ]
        removed = dialect.delete(connection, anomalies, normal)
        return removed, dialect.upsert(connection, anomalies, list(rows.values()), overwrite=True)

    def unpublished(self, names: Collection[str]) -> list[str]:
        """Return those prediction files, in the given order, that were not recorded as published."""
        if not names:
            return []
        wanted = value_rows(self._database.dialect, published_files.c.Name, names)
        query = sa.select(published_files.c.Name).join_from(
            wanted, published_files, published_files.c.Name == wanted.c.Name
        )
        published = self._database.read(lambda connection: set(connection.execute(query).scalars()))
        return [name for name in names if name not in published]

    def mark_published(self, name: str) -> None:
        """Record that a prediction file was published; a second call keeps the first time."""
        row = {"Name": name, "PublishedAt": self._database.clock()}
        self._database.write(
            lambda connection: self._database.dialect.upsert(connection, published_files, [row], overwrite=False)
        )

    def anomalies(
        self, sensor_id: int | None = None, limit: int = 100, *, suppressed: bool | None = None
    ) -> list[Anomaly]:
        """Return anomalies, newest first.

        Parameters
        ----------
        sensor_id
            Sensor; None: all sensors.
        limit
            Largest number of anomalies.
        suppressed
            True: only suppressed ones; False: only others; None: both.
        """
        query = sa.select(anomalies).order_by(anomalies.c.TS.desc(), anomalies.c.SensorId).limit(limit)
        if sensor_id is not None:
            query = query.where(anomalies.c.SensorId == sensor_id)
        if suppressed is not None:
            query = query.where((anomalies.c.Suppressed != "") if suppressed else (anomalies.c.Suppressed == ""))
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [anomaly_of(row) for row in rows]

    def alerts(self, *, open_only: bool = False, limit: int = 100) -> list[Alert]:
        """Return alerts, newest first."""
        query = sa.select(alerts).order_by(alerts.c.OpenedEnd.desc(), alerts.c.AlertId).limit(limit)
        if open_only:
            query = query.where(alerts.c.ClearedEnd.is_(None))
        return self._database.read(lambda connection: [alert_of(row) for row in connection.execute(query)])

    def pending_notifications(self, limit: int = 100) -> list[Notification]:
        """Return undelivered notifications, ordered by the window that caused them, oldest first."""
        table = notifications.c
        query = (
            sa.select(notifications)
            .where(table.DeliveredAt.is_(None))
            .order_by(table.TS, table.Event.desc(), table.NotificationKey)
            .limit(limit)
        )
        return self._database.read(lambda connection: [notification_of(row) for row in connection.execute(query)])
