"""Results of real-time scoring: anomalies and alerts, as in batch scoring, and the answers of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from sensorwatch.alerts.metrics import count_published
from sensorwatch.alerts.records import PublishOutcome
from sensorwatch.realtime.records import ModelAnswer, ServedWindow
from sensorwatch.sensors.windows import BEFORE_ALL_WINDOWS
from sensorwatch.store.alerts.alerts import AlertPart
from sensorwatch.store.alerts.rows import anomaly_of
from sensorwatch.store.connection.database import take_lock
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.row_map import RowMap
from sensorwatch.store.scoring import planned_until
from sensorwatch.store.tables import alert_states, anomalies, served_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sensorwatch.alerts.records import AlertChanges, AlertState, Anomaly

__all__ = ["ServingPart"]

_ANSWERS = msgspec.json.Decoder(dict[str, ModelAnswer | None])
_WINDOWS = RowMap(ServedWindow, end="TS", combiner="Decider")


class ServingPart(AlertPart):
    """Window methods of :class:`~sensorwatch.realtime.ports.ServingStore`."""

    def publish_served(
        self,
        windows: Sequence[ServedWindow],
        anomalies: Sequence[Anomaly],
        withdrawn: Sequence[tuple[int, int]],
        sensor_ids: Collection[int],
        decide: Callable[[Mapping[int, AlertState]], AlertChanges],
    ) -> PublishOutcome:
        """Store a batch; see :meth:`~sensorwatch.realtime.ports.ServingStore.publish_served`.

        A lock serializes it with every other publication. The planned end of batch scoring is read inside the
        transaction: a run that is planned later is published later, so its results win.
        """
        database = self._database
        rows = [_WINDOWS.row(each, answers=msgspec.json.encode(each.answers).decode()) for each in windows]

        def work(connection: sa.Connection) -> PublishOutcome:
            take_lock(connection, "publish")
            concerned = {anomaly.sensor_id for anomaly in anomalies} | {sensor_id for sensor_id, _ in withdrawn}
            planned = planned_until(connection, database.dialect, concerned, database.shard_size)
            found = [each for each in anomalies if each.end > planned.get(each.sensor_id, BEFORE_ALL_WINDOWS)]
            normal = [
                (sensor_id, end) for sensor_id, end in withdrawn if end > planned.get(sensor_id, BEFORE_ALL_WINDOWS)
            ]
            changes = decide(self._states(connection, sensor_ids))
            opened, cleared = self._store_alerts(connection, changes)
            removed, added = self._store_anomalies(connection, found, normal)
            database.dialect.upsert(connection, served_windows, rows, overwrite=True)
            return PublishOutcome(added, removed, opened, cleared)

        outcome = database.write(work)
        count_published(outcome)
        return outcome

    def served_anomalies(self, sensor_ids: Collection[int], first_end: int, last_end: int) -> list[Anomaly]:
        """Return anomalies of real time; see :meth:`~sensorwatch.realtime.ports.ServingStore.served_anomalies`."""
        if not sensor_ids:
            return []
        served, found = served_windows.c, anomalies.c
        served_end: sa.ColumnElement[Any] = served.TS
        wanted = value_rows(self._database.dialect, served.SensorId, sensor_ids)
        query = (
            sa.select(*anomalies.c)
            .distinct()
            .select_from(
                wanted.join(served_windows, served.SensorId == wanted.c.SensorId).join(
                    anomalies, (found.SensorId == served.SensorId) & (found.TS == served.TS)
                )
            )
            .where(served_end >= first_end, served_end <= last_end)
        )
        return self._database.read(lambda connection: [anomaly_of(row) for row in connection.execute(query)])

    def unsettled_sensors(self, sensor_ids: Collection[int]) -> set[int]:
        """Return the sensors with an open alert or an anomalous recent window."""
        if not sensor_ids:
            return set()
        table = alert_states.c
        wanted = value_rows(self._database.dialect, table.SensorId, sensor_ids)
        query = sa.select(table.SensorId, table.RecentScores, table.AlertId).join_from(
            wanted, alert_states, table.SensorId == wanted.c.SensorId
        )
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {
            row.SensorId
            for row in rows
            if row.AlertId is not None or any(score is not None for score in msgspec.json.decode(row.RecentScores))
        }

    def served_windows(self, sensor_id: int | None = None, limit: int = 100) -> list[ServedWindow]:
        """Return scored windows, newest first; for one window, the latest score first."""
        table = served_windows.c
        order = (table.TS.desc(), table.SensorId, table.Readings.desc())
        query = sa.select(served_windows).order_by(*order).limit(limit)
        if sensor_id is not None:
            query = query.where(table.SensorId == sensor_id)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [_WINDOWS.record(row, answers=_ANSWERS.decode(row.Answers)) for row in rows]
