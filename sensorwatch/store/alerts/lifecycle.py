"""People's actions on alerts, silences, feedback, and queries of alerts and incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sensorwatch.alerts.actions import apply, silence_of
from sensorwatch.alerts.feedback import tolerance_for
from sensorwatch.alerts.handling import HistoryEntry, Label, Silence
from sensorwatch.alerts.incidents import summarize
from sensorwatch.alerts.records import AlertChanges, Notification
from sensorwatch.errors import NotFoundError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store.alerts.outbox import hold_until, release_due
from sensorwatch.store.alerts.rows import (
    anomaly_of,
    handled_of,
    handling_row,
    incident_of,
    silence_row,
    tolerance_of,
    tolerance_row,
)
from sensorwatch.store.alerts.rows import silence_of as silence_in
from sensorwatch.store.alerts.writer import AlertWriter, top_alerts
from sensorwatch.store.connection.database import StorePart, take_lock
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.tables import (
    alert_history,
    alert_states,
    alerts,
    anomalies,
    held_notifications,
    incidents,
    sensors,
    silences,
    tolerances,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sensorwatch.alerts.handling import AlertAction, AlertCondition, AlertFilter, HandledAlert, Tolerance
    from sensorwatch.alerts.records import Incident

__all__ = ["LifecyclePart", "alert_conditions"]

_EPISODE_LIMIT = 10_000
"""Largest number of an episode's windows that are read for its limits."""

_NOT_MUTED: dict[str, object] = {
    "SilenceId": None,
    "SilencedUntil": None,
    "SilencedBy": None,
    "SilencedWhy": None,
}


class LifecyclePart(StorePart):
    """People's actions on alerts, and what they have changed."""

    def act(self, alert_id: str, action: AlertAction) -> HandledAlert:
        """Apply an action to an alert, with all its effects, in one transaction; return the alert.

        Raises
        ------
        NotFoundError
            There is no such alert.
        ConflictError, InvalidInputError
            As for :func:`sensorwatch.alerts.actions.apply`.
        """

        def work(connection: sa.Connection) -> HandledAlert:
            take_lock(connection, "publish")
            before = _one(connection, alert_id)
            now = self._database.clock()
            result = apply(before, _history(connection, alert_id), action, now)
            if result.entry is None:
                return before
            handling = handling_row(result.handled.handling)
            connection.execute(alerts.update().where(alerts.c.AlertId == alert_id).values(**handling))
            writer = self._lifecycle_writer(connection)
            if action.name == "resolve":
                self._resolve(connection, writer, result.handled, result.entry)
            else:
                writer.note([(alert_id, result.entry)])
            if action.name in {"silence", "unsilence"}:
                self._silence_sensor(connection, before, action, now)
            if action.name == "feedback":
                self._judge(connection, before, action)
            return _one(connection, alert_id)

        return self._database.write(work)

    def _lifecycle_writer(self, connection: sa.Connection) -> AlertWriter:
        database = self._database
        return AlertWriter(connection, database.dialect, database.incident_rules, database.clock())

    def _resolve(
        self, connection: sa.Connection, writer: AlertWriter, handled: HandledAlert, entry: HistoryEntry
    ) -> None:
        """Close the alert; only new anomalous windows can open the next one."""
        alert = handled.alert
        connection.execute(
            alert_states.update()
            .where(alert_states.c.AlertId == alert.alert_id)
            .values(AlertId=None, RecentScores="[]")
        )
        writer.store(AlertChanges([], [alert], [Notification.cleared(alert)]), resolution=entry)

    def _silence_sensor(
        self, connection: sa.Connection, handled: HandledAlert, action: AlertAction, now: datetime
    ) -> None:
        """Mute also the next alerts of the sensor, or end that."""
        alert, own = handled.alert, silence_of(handled.alert)
        if action.until is None:
            ended = silences.update().where(silences.c.SilenceId == own, silences.c.EndedAt.is_(None))
            connection.execute(ended.values(EndedBy=action.actor, EndedAt=now))
        else:
            query = sa.select(sensors.c.Device, sensors.c.Tag).where(sensors.c.SensorId == alert.sensor_id)
            device, tag = (_literally(name) for name in connection.execute(query).one())
            silence = Silence(own, device, tag, action.until, action.actor, now, action.text)
            self._database.dialect.upsert(connection, silences, [silence_row(silence)], overwrite=True)
        hold_until(connection, self._database.dialect, [alert.alert_id], action.until or now)
        if action.until is None and handled.incident_id:
            hold_until(connection, self._database.dialect, [handled.incident_id], now)

    def _judge(self, connection: sa.Connection, handled: HandledAlert, action: AlertAction) -> None:
        """Apply a verdict to windows after the published ones; earlier ones stay as they are."""
        alert, table = handled.alert, tolerances.c
        columns = sa.select(sensors.c.ModelVersion, sensors.c.TrainFrom)
        sensor = connection.execute(columns.where(sensors.c.SensorId == alert.sensor_id)).one()
        last = sa.select(alert_states.c.LastEnd).where(alert_states.c.SensorId == alert.sensor_id)
        seen_end = max(connection.execute(last).scalar_one_or_none() or 0, alert.last_anomaly_end)
        connection.execute(
            tolerances.update()
            .where(table.AlertId == alert.alert_id, table.UntilEnd.is_(None))
            .values(UntilEnd=seen_end)
        )
        episode = (
            sa.select(anomalies)
            .where(anomalies.c.SensorId == alert.sensor_id)
            .where(anomalies.c.TS.between(alert.opened_end, alert.last_anomaly_end))
            .order_by(anomalies.c.TS)
            .limit(_EPISODE_LIMIT)
        )
        found = [anomaly_of(row) for row in connection.execute(episode)]
        if action.verdict is not None:
            version = sensor.ModelVersion or alert.model_version
            tolerance = tolerance_for(alert, action.verdict, found, version, seen_end)
            rows = [] if tolerance is None else [tolerance_row(tolerance)]
            self._database.dialect.upsert(connection, tolerances, rows, overwrite=True)
        train_from = alert.opened_end - 1
        if action.verdict == "new-trend":
            moved = sensors.update().where(sensors.c.SensorId == alert.sensor_id)
            connection.execute(moved.values(TrainFrom=train_from))
        elif sensor.TrainFrom == train_from:
            connection.execute(sensors.update().where(sensors.c.SensorId == alert.sensor_id).values(TrainFrom=None))

    def add_silence(self, silence: Silence) -> None:
        """Mute sensors and their open alerts; an existing silence with this id stays as it is."""

        def work(connection: sa.Connection) -> None:
            take_lock(connection, "publish")
            if not self._database.dialect.upsert(connection, silences, [silence_row(silence)], overwrite=False):
                return
            query = (
                sa.select(alerts.c.AlertId, alerts.c.SilencedUntil, sensors.c.Device, sensors.c.Tag)
                .join_from(alerts, sensors, sensors.c.SensorId == alerts.c.SensorId)
                .where(alerts.c.ClearedEnd.is_(None))
            )
            covered = [
                row.AlertId
                for row in connection.execute(query)
                if silence.matches(SensorKey(row.Device, row.Tag))
                and (row.SilencedUntil is None or row.SilencedUntil < silence.until)
            ]
            rows: list[dict[str, object]] = [
                {
                    "AlertId": alert_id,
                    "SilenceId": silence.silence_id,
                    "SilencedUntil": silence.until,
                    "SilencedBy": silence.made_by,
                    "SilencedWhy": silence.why,
                }
                for alert_id in covered
            ]
            self._database.dialect.update(connection, alerts, ["AlertId"], rows)
            hold_until(connection, self._database.dialect, covered, silence.until)
            detail = f"by {silence.silence_id} until {silence.until.isoformat()}: {silence.why}"
            entry = HistoryEntry(self._database.clock(), silence.made_by, "silence", detail)
            self._lifecycle_writer(connection).note((alert_id, entry) for alert_id in covered)

        self._database.write(work)

    def end_silence(self, silence_id: str, actor: str) -> None:
        """End a silence early and release its notifications; a silence that is over stays as it is.

        Raises
        ------
        NotFoundError
            There is no such silence.
        """

        def work(connection: sa.Connection) -> None:
            take_lock(connection, "publish")
            now = self._database.clock()
            ending = silences.update().where(silences.c.SilenceId == silence_id)
            found = connection.execute(sa.select(silences).where(silences.c.SilenceId == silence_id)).one_or_none()
            if found is None:
                raise NotFoundError(f"no silence `{silence_id}`; `sensorwatch alerts silences` lists them")
            if not silence_in(found).active(now):
                return
            connection.execute(ending.values(EndedBy=actor, EndedAt=now))
            query = sa.select(alerts.c.AlertId, alerts.c.IncidentId).where(
                alerts.c.SilenceId == silence_id, alerts.c.ClearedEnd.is_(None)
            )
            rows = connection.execute(query).all()
            self._database.dialect.update(
                connection, alerts, ["AlertId"], [{"AlertId": row.AlertId, **_NOT_MUTED} for row in rows]
            )
            hold_until(connection, self._database.dialect, [row.AlertId for row in rows], now)
            hold_until(
                connection, self._database.dialect, sorted({row.IncidentId for row in rows if row.IncidentId}), now
            )
            entry = HistoryEntry(now, actor, "unsilence", silence_id)
            self._lifecycle_writer(connection).note((row.AlertId, entry) for row in rows)

        self._database.write(work)

    def silences(self, *, active_only: bool = True) -> list[Silence]:
        """Return silences, ordered by descending end."""
        query = sa.select(silences).order_by(silences.c.UntilTime.desc(), silences.c.SilenceId)
        if active_only:
            query = query.where(silences.c.EndedAt.is_(None), silences.c.UntilTime > self._database.clock())
        return self._database.read(lambda connection: [silence_in(row) for row in connection.execute(query)])

    def release_held(self) -> int:
        """Move notifications whose silence has ended to the outbox; return their number."""
        now = self._database.clock()
        due = sa.select(sa.func.count()).select_from(held_notifications).where(held_notifications.c.UntilTime <= now)
        if not self._database.read(lambda connection: connection.execute(due).scalar_one()):
            return 0

        def work(connection: sa.Connection) -> int:
            take_lock(connection, "publish")
            return release_due(connection, self._database.dialect, now)

        return self._database.write(work)

    def alert(self, alert_id: str) -> HandledAlert:
        """Return an alert with the result of people's actions.

        Raises
        ------
        NotFoundError
            There is no such alert.
        """
        return self._database.read(lambda connection: _one(connection, alert_id))

    def alert_history(self, alert_id: str) -> list[HistoryEntry]:
        """Return the history of an alert, oldest entry first; empty for an unknown alert."""
        return self._database.read(lambda connection: _history(connection, alert_id))

    def handled_alerts(self, wanted: AlertFilter, limit: int = 100) -> list[HandledAlert]:
        """Return the alerts that meet the conditions, newest first; ``device`` and ``tag`` are ignored."""
        table = alerts.c
        query = (
            sa.select(alerts)
            .where(*alert_conditions(wanted, self._database.clock()))
            .order_by(table.OpenedEnd.desc(), table.AlertId)
            .limit(limit)
        )
        return self._database.read(lambda connection: [handled_of(row) for row in connection.execute(query)])

    def incidents(self, *, open_only: bool = False, limit: int = 100) -> list[Incident]:
        """Return incidents, newest first, with their highest alerts."""
        query = sa.select(incidents).order_by(incidents.c.FirstEnd.desc(), incidents.c.IncidentId).limit(limit)
        if open_only:
            query = query.where(incidents.c.ClosedEnd.is_(None))
        return self._database.read(lambda connection: self._with_top(connection, query))

    def _with_top(self, connection: sa.Connection, query: sa.Select[Any]) -> list[Incident]:
        found = [incident_of(row) for row in connection.execute(query)]
        top = top_alerts(connection, self._database.dialect, [incident.incident_id for incident in found])
        return [summarize(incident, top.get(incident.incident_id, [])) for incident in found]

    def tolerances(self, sensor_ids: Collection[int]) -> dict[int, list[Tolerance]]:
        """Return the tolerances of these sensors by sensor id; sensors without one are left out."""
        if not sensor_ids:
            return {}
        given = value_rows(self._database.dialect, tolerances.c.SensorId, sorted(sensor_ids))
        query = sa.select(tolerances).join_from(given, tolerances, tolerances.c.SensorId == given.c.SensorId)
        found: dict[int, list[Tolerance]] = {}
        for row in self._database.read(lambda connection: connection.execute(query).all()):
            found.setdefault(row.SensorId, []).append(tolerance_of(row))
        return found

    def labels(self) -> list[Label]:
        """Return all judged alerts, oldest first."""
        query: sa.Select[Any] = (
            sa.select(*alerts.c, sensors.c.Device, sensors.c.Tag)
            .join_from(alerts, sensors, sensors.c.SensorId == alerts.c.SensorId)
            .where(alerts.c.Feedback.is_not(None))
            .order_by(alerts.c.OpenedEnd, alerts.c.AlertId)
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [Label(SensorKey(row.Device, row.Tag), handled_of(row)) for row in rows]


def _one(connection: sa.Connection, alert_id: str) -> HandledAlert:
    row = connection.execute(sa.select(alerts).where(alerts.c.AlertId == alert_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"no alert `{alert_id}`; `sensorwatch alerts` lists them")
    return handled_of(row)


def _history(connection: sa.Connection, alert_id: str) -> list[HistoryEntry]:
    table = alert_history.c
    query = sa.select(alert_history).where(table.AlertId == alert_id).order_by(table.Number)
    return [HistoryEntry(row.At, row.Actor, row.Action, row.Detail) for row in connection.execute(query)]


def alert_conditions(wanted: AlertFilter, now: datetime) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of a filter on alerts, without ``device`` and ``tag``, which belong to sensors."""
    table = alerts.c
    conditions = [] if wanted.condition is None else _is(wanted.condition, now)
    for column, value in (
        (table.SensorId, wanted.sensor_id),
        (table.Kind, wanted.kind),
        (table.Severity, wanted.severity),
        (table.IncidentId, wanted.incident_id),
        (table.Feedback, wanted.feedback),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.unresolved:
        conditions.append(table.ClearedEnd.is_(None))
    if wanted.opened_after is not None:
        conditions.append(table.OpenedEnd > wanted.opened_after)
    if wanted.opened_before is not None:
        conditions.append(table.OpenedEnd <= wanted.opened_before)
    return conditions


def _is(condition: AlertCondition, now: datetime) -> list[sa.ColumnElement[bool]]:
    """Return :meth:`HandledAlert.condition` as SQL."""
    table = alerts.c
    if condition == "resolved":
        return [table.ClearedEnd.is_not(None)]
    standing: list[sa.ColumnElement[bool]] = [table.ClearedEnd.is_(None)]
    if condition == "silenced":
        return [*standing, table.SilencedUntil > now]
    standing.append(sa.or_(table.SilencedUntil.is_(None), table.SilencedUntil <= now))
    known = table.AcknowledgedBy
    return [*standing, known.is_(None) if condition == "open" else known.is_not(None)]


def _literally(name: str) -> str:
    """Return a pattern that matches only this name."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)
