"""Pages of anomalies, alerts and incidents."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, get_args

import sqlalchemy as sa

from sensorwatch.alerts.handling import AlertCondition
from sensorwatch.errors import NotFoundError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store.alerts.lifecycle import LifecyclePart, alert_conditions
from sensorwatch.store.alerts.rows import anomaly_of, handled_of, incident_of
from sensorwatch.store.alerts.writer import ranked_alerts
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.pages.keyset import newest_first
from sensorwatch.store.pages.queries import AlertCounts, IncidentSummary, TopAlert
from sensorwatch.store.sensors import sensor_names
from sensorwatch.store.tables import alerts, anomalies, incidents, sensors

if TYPE_CHECKING:
    from collections.abc import Collection

    from sensorwatch.alerts.handling import AlertFilter, HandledAlert
    from sensorwatch.alerts.records import Anomaly
    from sensorwatch.store.pages.queries import AnomalyQuery, EndKey

__all__ = ["AlertPagesPart"]

_FEW_SENSORS = 200
"""Largest number of sensors with a name that are looked up by id; for more, the newest rows are scanned."""


class AlertPagesPart(LifecyclePart):
    """Pages of anomalies, alerts and incidents, and numbers of alerts."""

    def anomaly_page(self, query: AnomalyQuery, limit: int) -> list[Anomaly]:
        """Return a page of anomalies, newest first."""
        table, window_end = anomalies.c, anomalies.c.TS
        wanted = sa.select(anomalies)
        for column, value in ((table.SensorId, query.sensor_id), (table.Severity, query.severity)):
            if value is not None:
                wanted = wanted.where(column == value)
        if query.start is not None:
            wanted = wanted.where(window_end > query.start)
        if query.end is not None:
            wanted = wanted.where(window_end <= query.end)
        if query.suppressed is not None:
            # A literal, because with a parameter SQLite does not see that the partial index covers the rows.
            nothing: sa.ColumnElement[str] = sa.literal_column("''")
            wanted = wanted.where(table.Suppressed != nothing if query.suppressed else table.Suppressed == nothing)

        def work(connection: sa.Connection) -> list[Anomaly]:
            narrowed = self._of_names(connection, wanted, table.SensorId, query.device, query.tag)
            page = newest_first(narrowed, (window_end, table.SensorId), query.after, limit)
            return [anomaly_of(row) for row in connection.execute(page)]

        return self._database.read(work)

    def anomaly(self, sensor_id: int, end: int) -> Anomaly:
        """Return the anomaly of a sensor at an end in seconds since 1970-01-01T00:00:00Z.

        Raises
        ------
        NotFoundError
            There is no such anomaly.
        """
        table, window_end = anomalies.c, anomalies.c.TS
        query = sa.select(anomalies).where(table.SensorId == sensor_id, window_end == end)
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NotFoundError(f"no anomaly of sensor {sensor_id} at {end}; /api/anomalies lists them")
        return anomaly_of(row)

    def alert_page(self, wanted: AlertFilter, limit: int, after: EndKey | None = None) -> list[HandledAlert]:
        """Return a page of alerts, newest first.

        Parameters
        ----------
        wanted
            Conditions that the alerts must meet.
        limit
            Largest number of alerts.
        after
            Key of the last alert of the previous page; None for the first page.
        """
        table = alerts.c
        query = sa.select(alerts).where(*alert_conditions(wanted, self._database.clock()))

        def work(connection: sa.Connection) -> list[HandledAlert]:
            narrowed = self._of_names(connection, query, table.SensorId, wanted.device, wanted.tag)
            page = newest_first(narrowed, (table.OpenedEnd, table.AlertId), after, limit)
            return [handled_of(row) for row in connection.execute(page)]

        return self._database.read(work)

    def _of_names(
        self,
        connection: sa.Connection,
        query: sa.Select[Any],
        sensor_id: sa.ColumnElement[int],
        device: str | None,
        tag: str | None,
    ) -> sa.Select[Any]:
        """Return the query, limited to sensors with these names."""
        if device is None and tag is None:
            return query
        named = sa.select(sensors.c.SensorId).where(*sensor_names(device, tag))
        few = list(connection.execute(named.limit(_FEW_SENSORS + 1)).scalars())
        if len(few) <= _FEW_SENSORS:
            return query.where(sensor_id.in_(few))
        # Not IN, for which SQLite would collect the rows of all these sensors and sort them.
        return query.where(named.where(sensors.c.SensorId == sensor_id).exists())

    def incident_page(self, is_open: bool | None, limit: int, after: EndKey | None = None) -> list[IncidentSummary]:
        """Return a page of incidents, newest first.

        Parameters
        ----------
        is_open
            True: only open incidents; False: only closed ones; None: both.
        limit
            Largest number of incidents.
        after
            Key of the last incident of the previous page; None for the first page.
        """
        table = incidents.c
        query = sa.select(incidents)
        if is_open is not None:
            query = query.where(table.ClosedEnd.is_(None) if is_open else table.ClosedEnd.is_not(None))
        page = newest_first(query, (table.FirstEnd, table.IncidentId), after, limit)
        return self._database.read(lambda connection: self._summaries(connection, page))

    def incident_summary(self, incident_id: str) -> IncidentSummary:
        """Return one incident.

        Raises
        ------
        NotFoundError
            There is no such incident.
        """
        query = sa.select(incidents).where(incidents.c.IncidentId == incident_id)
        found = self._database.read(lambda connection: self._summaries(connection, query))
        if not found:
            raise NotFoundError(f"no incident `{incident_id}`; /api/incidents lists them")
        return found[0]

    def _summaries(self, connection: sa.Connection, query: sa.Select[Any]) -> list[IncidentSummary]:
        found = [incident_of(row) for row in connection.execute(query)]
        top = self._top(connection, [incident.incident_id for incident in found])
        return [IncidentSummary(each, tuple(top.get(each.incident_id, ()))) for each in found]

    def _top(self, connection: sa.Connection, incident_ids: list[str]) -> dict[str, list[TopAlert]]:
        """Return the fields of the highest alerts that lists show, because there may be a thousand alerts."""
        if not incident_ids:
            return {}
        table = alerts.c
        shown = (table.IncidentId, table.AlertId, table.SensorId, table.Severity, table.PeakScore)
        ranked = ranked_alerts(self._database.dialect, incident_ids, shown)
        query = (
            sa.select(*ranked.c, sensors.c.Device, sensors.c.Tag)
            .join_from(ranked, sensors, sensors.c.SensorId == ranked.c.SensorId)
            .order_by(ranked.c.Rank)
        )
        found: dict[str, list[TopAlert]] = {}
        for row in connection.execute(query):
            alert = TopAlert(row.AlertId, row.SensorId, SensorKey(row.Device, row.Tag), row.Severity, row.PeakScore)
            found.setdefault(row.IncidentId, []).append(alert)
        return found

    def alert_counts(self) -> AlertCounts:
        """Return the numbers of alerts by state and by severity."""
        table, now = alerts.c, self._database.clock()
        condition = sa.case(
            (table.SilencedUntil > now, "silenced"), (table.AcknowledgedBy.is_not(None), "acknowledged"), else_="open"
        )
        each = sa.select(condition.label("Shown"), table.Severity).where(table.ClearedEnd.is_(None)).subquery("each")
        counted = sa.select(each.c.Shown, each.c.Severity, sa.func.count().label("Number")).group_by(
            each.c.Shown, each.c.Severity
        )
        total = sa.select(sa.func.count()).select_from(alerts)

        def work(connection: sa.Connection) -> AlertCounts:
            conditions: dict[AlertCondition, int] = dict.fromkeys(get_args(AlertCondition), 0)
            severities: defaultdict[str, int] = defaultdict(int)
            for shown, severity, number in connection.execute(counted).all():
                conditions[shown] += number
                severities[severity] += number
            conditions["resolved"] = connection.execute(total).scalar_one() - sum(severities.values())
            return AlertCounts(conditions, dict(severities))

        return self._database.read(work)

    def open_alerts(self, sensor_ids: Collection[int]) -> dict[int, list[str]]:
        """Return the severities of the unresolved alerts of these sensors, by sensor id."""
        if not sensor_ids:
            return {}
        table = alerts.c
        given = value_rows(self._database.dialect, table.SensorId, sorted(sensor_ids))
        query = (
            sa.select(table.SensorId, table.Severity)
            .join_from(given, alerts, table.SensorId == given.c.SensorId)
            .where(table.ClearedEnd.is_(None))
        )
        found: dict[int, list[str]] = {}
        for sensor_id, severity in self._database.read(lambda connection: connection.execute(query).all()):
            found.setdefault(sensor_id, []).append(severity)
        return found
