"""Storing changes of alerts with all their effects: incidents, silences, history and notifications.

The caller holds the store-wide lock ``publish``, so that nothing that was read changes meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sensorwatch.alerts.handling import PRODUCT, HistoryEntry
from sensorwatch.alerts.incidents import TOP_ALERTS, Grouping, group_alerts, group_of, summarize
from sensorwatch.alerts.records import Notification
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store.alerts.outbox import drop_held, enqueue, hold, hold_until, standing
from sensorwatch.store.alerts.rows import alert_of, alert_row, incident_of, incident_row, silence_of, state_row
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.tables import alert_history, alert_states, alerts, incidents, sensors, silences

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sensorwatch.alerts.handling import Silence
    from sensorwatch.alerts.records import Alert, AlertChanges, Incident, IncidentRules
    from sensorwatch.store.dialects import Dialect

__all__ = ["AlertWriter", "active_silences", "ranked_alerts", "top_alerts"]


def active_silences(connection: sa.Connection, now: datetime) -> list[Silence]:
    """Return the silences in force, those that end last first."""
    query = sa.select(silences).where(silences.c.EndedAt.is_(None), silences.c.UntilTime > now)
    return sorted(map(silence_of, connection.execute(query)), key=lambda each: (each.until, each.silence_id))[::-1]


def top_alerts(connection: sa.Connection, dialect: Dialect, incident_ids: Collection[str]) -> dict[str, list[Alert]]:
    """Return the highest alerts of incidents, by incident id.

    Parameters
    ----------
    connection, dialect
        Connection with an open transaction, and its dialect.
    incident_ids
        The incidents.
    """
    if not incident_ids:
        return {}
    found: dict[str, list[Alert]] = {}
    for row in connection.execute(sa.select(ranked_alerts(dialect, incident_ids, alerts.c))):
        found.setdefault(row.IncidentId, []).append(alert_of(row))
    return found


def ranked_alerts(
    dialect: Dialect, incident_ids: Collection[str], columns: Iterable[sa.ColumnElement[Any]]
) -> sa.Subquery:
    """Return a subquery of the highest alerts of incidents.

    Parameters
    ----------
    dialect
        Dialect of the database.
    incident_ids
        The incidents.
    columns
        Columns of Alerts to select; ``Rank`` is added, the rank of the alert in its incident, from 1.
    """
    given = value_rows(dialect, alerts.c.IncidentId, sorted(incident_ids))
    rank = sa.func.row_number().over(
        partition_by=alerts.c.IncidentId, order_by=(alerts.c.PeakScore.desc(), alerts.c.OpenedEnd, alerts.c.AlertId)
    )
    of_all = (
        sa.select(*columns, rank.label("Rank"))
        .join_from(given, alerts, alerts.c.IncidentId == given.c.IncidentId)
        .subquery()
    )
    return sa.select(of_all).where(of_all.c.Rank <= TOP_ALERTS).subquery()


@dataclass(frozen=True, slots=True)
class _Opened:
    """A new alert, with the group of its sensor and the silence that covers it."""

    alert: Alert
    group: str
    silence: Silence | None


@dataclass(frozen=True, slots=True)
class AlertWriter:
    """Writes changes of alerts in one transaction, at the time ``now``."""

    connection: sa.Connection
    dialect: Dialect
    rules: IncidentRules
    now: datetime

    def store(self, changes: AlertChanges, *, resolution: HistoryEntry | None = None) -> tuple[int, int]:
        """Store states and alerts with all effects; return the numbers of alerts opened and cleared.

        A cleared alert never changes again.

        Parameters
        ----------
        changes
            Changed states, alerts and notifications.
        resolution
            History entry of the person who resolved the alerts; None: they cleared after the quiet period.
        """
        stored = self._stored([alert.alert_id for alert in changes.alerts])
        current = [
            alert
            for alert in changes.alerts
            if alert.alert_id not in stored or stored[alert.alert_id].ClearedEnd is None
        ]
        self.dialect.upsert(self.connection, alerts, [alert_row(alert) for alert in current], overwrite=True)
        self.dialect.upsert(
            self.connection, alert_states, [state_row(state) for state in changes.states], overwrite=True
        )
        opened = self._opened([alert for alert in current if alert.alert_id not in stored])
        over = [alert for alert in current if alert.cleared_end is not None]
        if not opened and not over:
            return 0, 0
        grouping = self._group(opened)
        self._mark(opened, grouping)
        incident_ids = {alert_id: row.IncidentId for alert_id, row in stored.items() if row.IncidentId} | dict(
            grouping.joined
        )
        closed = self._close({incident_ids[each.alert_id] for each in over if each.alert_id in incident_ids})
        self._enqueue(changes.notifications, opened, stored, incident_ids)
        self._enqueue_incidents(grouping, opened, closed)
        self._note(opened, grouping, over, resolution)
        return len(opened), len(over)

    def note(self, entries: Iterable[tuple[str, HistoryEntry]]) -> None:
        """Add entries, each with the id of its alert, to the history in this order."""
        listed = list(entries)
        if not listed:
            return
        table = alert_history
        given = value_rows(self.dialect, table.c.AlertId, sorted({alert_id for alert_id, _ in listed}))
        query = (
            sa.select(table.c.AlertId, sa.func.max(table.c.Number))
            .join_from(given, table, table.c.AlertId == given.c.AlertId)
            .group_by(table.c.AlertId)
        )
        numbers: dict[str, int] = {row[0]: row[1] for row in self.connection.execute(query)}
        rows = []
        for alert_id, entry in listed:
            numbers[alert_id] = numbers.get(alert_id, 0) + 1
            rows.append(
                {
                    "AlertId": alert_id,
                    "Number": numbers[alert_id],
                    "At": entry.at,
                    "Actor": entry.actor,
                    "Action": entry.action,
                    "Detail": entry.detail,
                }
            )
        self.dialect.upsert(self.connection, table, rows, overwrite=False)

    def _stored(self, alert_ids: Collection[str]) -> dict[str, sa.Row[Any]]:
        if not alert_ids:
            return {}
        given = value_rows(self.dialect, alerts.c.AlertId, alert_ids)
        wanted = (alerts.c.AlertId, alerts.c.ClearedEnd, alerts.c.IncidentId, alerts.c.SilencedUntil)
        query: sa.Select[Any] = sa.select(*wanted).join_from(given, alerts, alerts.c.AlertId == given.c.AlertId)
        return {row.AlertId: row for row in self.connection.execute(query)}

    def _opened(self, new: Sequence[Alert]) -> list[_Opened]:
        if not new:
            return []
        given = value_rows(self.dialect, sensors.c.SensorId, {alert.sensor_id for alert in new})
        query = sa.select(sensors.c.SensorId, sensors.c.Device, sensors.c.Tag).join_from(
            given, sensors, sensors.c.SensorId == given.c.SensorId
        )
        keys = {row.SensorId: SensorKey(row.Device, row.Tag) for row in self.connection.execute(query)}
        holding = active_silences(self.connection, self.now)
        return [
            _Opened(
                alert,
                group_of(keys[alert.sensor_id].device, self.rules),
                next((silence for silence in holding if silence.matches(keys[alert.sensor_id])), None),
            )
            for alert in new
        ]

    def _group(self, opened: Sequence[_Opened]) -> Grouping:
        new: dict[str, list[Alert]] = {}
        for each in opened:
            new.setdefault(each.group, []).append(each.alert)
        if not new:
            return Grouping([], {}, frozenset())
        given = value_rows(self.dialect, alerts.c.GroupName, new)
        query = (
            sa.select(alerts)
            .join_from(given, alerts, alerts.c.GroupName == given.c.GroupName)
            .where(alerts.c.ClearedEnd.is_(None), alerts.c.IncidentId.is_(None))
        )
        loose: dict[str, list[Alert]] = {}
        for row in self.connection.execute(query):
            loose.setdefault(row.GroupName, []).append(alert_of(row))
        given = value_rows(self.dialect, incidents.c.GroupName, new)
        query = (
            sa.select(incidents)
            .join_from(given, incidents, incidents.c.GroupName == given.c.GroupName)
            .where(incidents.c.ClosedEnd.is_(None))
            .order_by(incidents.c.FirstEnd, incidents.c.IncidentId)
        )
        known: dict[str, list[Incident]] = {}
        for row in self.connection.execute(query):
            known.setdefault(row.GroupName, []).append(incident_of(row))
        grouping = group_alerts(new, loose, known, self.rules)
        self.dialect.upsert(self.connection, incidents, list(map(incident_row, grouping.incidents)), overwrite=True)
        return grouping

    def _mark(self, opened: Sequence[_Opened], grouping: Grouping) -> None:
        rows: list[Mapping[str, object]] = [
            {
                "AlertId": each.alert.alert_id,
                "GroupName": each.group,
                "SilenceId": each.silence and each.silence.silence_id,
                "SilencedUntil": each.silence and each.silence.until,
                "SilencedBy": each.silence and each.silence.made_by,
                "SilencedWhy": each.silence and each.silence.why,
            }
            for each in opened
        ]
        self.dialect.update(self.connection, alerts, ["AlertId"], rows)
        joined = [{"AlertId": alert_id, "IncidentId": incident} for alert_id, incident in grouping.joined.items()]
        self.dialect.update(self.connection, alerts, ["AlertId"], joined)

    def _close(self, incident_ids: Collection[str]) -> list[Incident]:
        """Close the incidents whose alerts have all cleared; return them with their highest alerts."""
        if not incident_ids:
            return []
        given = value_rows(self.dialect, incidents.c.IncidentId, sorted(incident_ids))
        last = sa.func.max(alerts.c.ClearedEnd, type_=alerts.c.ClearedEnd.type).label("Last")
        query: sa.Select[Any] = (
            sa.select(*incidents.c, last)
            .join_from(given, incidents, incidents.c.IncidentId == given.c.IncidentId)
            .join(alerts, alerts.c.IncidentId == incidents.c.IncidentId)
            .where(incidents.c.ClosedEnd.is_(None))
            .group_by(*incidents.c)
            .having(sa.func.count(alerts.c.ClearedEnd) == sa.func.count(alerts.c.AlertId))
        )
        closing = [replace(incident_of(row), closed_end=row.Last) for row in self.connection.execute(query)]
        top = top_alerts(self.connection, self.dialect, [incident.incident_id for incident in closing])
        closing = [summarize(incident, top[incident.incident_id]) for incident in closing]
        self.dialect.upsert(self.connection, incidents, list(map(incident_row, closing)), overwrite=True)
        return closing

    def _enqueue(
        self,
        notifications: Sequence[Notification],
        opened: Sequence[_Opened],
        stored: Mapping[str, sa.Row[Any]],
        incident_ids: Mapping[str, str],
    ) -> None:
        """Queue or hold the notifications of alerts.

        Alerts of an incident are not notified. Notifications of a muted alert are held, and dropped if the alert clears
        before the silence ends.
        """
        muted = {each.alert.alert_id: each.silence.until for each in opened if each.silence is not None}
        muted |= {alert_id: row.SilencedUntil for alert_id, row in stored.items() if row.SilencedUntil}
        queued: list[Notification] = []
        held: dict[str, tuple[Notification, str, datetime]] = {}
        keys = [f"{each.alert.alert_id}:opened" for each in notifications] + [
            f"{alert_id}:opened" for alert_id in incident_ids
        ]
        before = dict(standing(self.connection, self.dialect, keys))
        self._forget(
            key for key, word in before.items() if word == "held" and key.removesuffix(":opened") in incident_ids
        )
        for each in notifications:
            alert_id = each.alert.alert_id
            until = muted.get(alert_id)
            waits = until is not None and until > self.now
            if each.event == "opened" and alert_id in incident_ids:
                continue
            if each.event == "cleared":
                earlier = before.get(f"{alert_id}:opened")
                if earlier == "held":
                    held.pop(f"{alert_id}:opened", None)
                    self._forget([f"{alert_id}:opened"])
                if earlier == "held" or (earlier is None and alert_id in incident_ids):
                    continue
            if waits and until is not None:
                held[each.key] = (each, alert_id, until)
                before[each.key] = "held"
            else:
                queued.append(each)
                before[each.key] = "queued"
        enqueue(self.connection, self.dialect, queued)
        hold(self.connection, self.dialect, held.values())

    def _enqueue_incidents(self, grouping: Grouping, opened: Sequence[_Opened], closed: Sequence[Incident]) -> None:
        keys = [f"{each.incident_id}:opened" for each in (*grouping.incidents, *closed)]
        before = dict(standing(self.connection, self.dialect, keys))
        top = top_alerts(self.connection, self.dialect, grouping.opened)
        muted = {each.alert.alert_id: each.silence.until for each in opened if each.silence is not None}
        for incident in grouping.incidents:
            key = f"{incident.incident_id}:opened"
            members = [alert_id for alert_id, joined in grouping.joined.items() if joined == incident.incident_id]
            waits = [muted[each] for each in members if each in muted]
            if incident.incident_id in grouping.opened:
                about = summarize(incident, top[incident.incident_id])
                notification = Notification(key, "opened", about.top[0], about)
                if len(waits) == len(members):
                    hold(self.connection, self.dialect, [(notification, incident.incident_id, min(waits))])
                    before[key] = "held"
                else:
                    enqueue(self.connection, self.dialect, [notification])
                    before[key] = "queued"
            elif len(waits) < len(members):
                hold_until(self.connection, self.dialect, [incident.incident_id], self.now)
        for incident in closed:
            if before.get(f"{incident.incident_id}:opened") == "queued":
                notification = Notification(f"{incident.incident_id}:cleared", "cleared", incident.top[0], incident)
                enqueue(self.connection, self.dialect, [notification])
            else:
                self._forget([f"{incident.incident_id}:opened"])

    def _forget(self, keys: Iterable[str]) -> None:
        drop_held(self.connection, self.dialect, keys)

    def _note(
        self,
        opened: Sequence[_Opened],
        grouping: Grouping,
        over: Sequence[Alert],
        resolution: HistoryEntry | None,
    ) -> None:
        entries: list[tuple[str, HistoryEntry]] = []
        for each in opened:
            detail = f"score {each.alert.peak_score:.1f}, {each.alert.severity}"
            entries.append((each.alert.alert_id, HistoryEntry(self.now, PRODUCT, "open", detail)))
            if each.silence is not None:
                detail = f"by {each.silence.silence_id} until {each.silence.until.isoformat()}: {each.silence.why}"
                entries.append((each.alert.alert_id, HistoryEntry(self.now, each.silence.made_by, "silence", detail)))
        for alert_id, incident_id in grouping.joined.items():
            entries.append((alert_id, HistoryEntry(self.now, PRODUCT, "join", incident_id)))
        done = resolution or HistoryEntry(self.now, PRODUCT, "resolve", "quiet")
        entries.extend((alert.alert_id, done) for alert in over)
        self.note(entries)
