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
from sensorwatch.store.tables import alert_states, anomalies, served_windows, shard_scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sensorwatch.alerts.records import AlertChanges, AlertState, Anomaly

__all__ = ["ServingPart"]

_ANSWERS = msgspec.json.Decoder(dict[str, ModelAnswer | None])


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
        """Store the results of a batch in one transaction; see :meth:`ServingStore.publish_served`.

        A lock serializes it with every other publication. The planned end of batch scoring is read inside the
        transaction: a run that is planned later is published later, so its results win.
        """
        rows = [_row(window) for window in windows]

        def work(connection: sa.Connection) -> PublishOutcome:
            take_lock(connection, "publish")
            planned = self._planned(
                connection, {anomaly.sensor_id for anomaly in anomalies} | {i for i, _ in withdrawn}
            )
            found = [each for each in anomalies if each.end > planned.get(each.sensor_id, BEFORE_ALL_WINDOWS)]
            normal = [
                (sensor_id, end) for sensor_id, end in withdrawn if end > planned.get(sensor_id, BEFORE_ALL_WINDOWS)
            ]
            changes = decide(self._states(connection, sensor_ids))
            opened, cleared = self._store_alerts(connection, changes)
            removed, added = self._store_anomalies(connection, found, normal)
            self._database.dialect.upsert(connection, served_windows, rows, overwrite=True)
            return PublishOutcome(added, removed, opened, cleared)

        outcome = self._database.write(work)
        count_published(outcome)
        return outcome

    def _planned(self, connection: sa.Connection, sensor_ids: Collection[int]) -> dict[int, int]:
        size, table = self._database.shard_size, shard_scoring.c
        shards = sorted({sensor_id // size for sensor_id in sensor_ids})
        if not shards:
            return {}
        wanted = self._database.dialect.rows([table.Shard], [[shard] for shard in shards])
        query = (
            sa.select(table.Shard, table.PlannedUntil)
            .join_from(wanted, shard_scoring, table.Shard == wanted.c.Shard)
            .where(table.PlannedUntil.is_not(None))
        )
        until = {row.Shard: row.PlannedUntil for row in connection.execute(query)}
        return {sensor_id: until[shard] for sensor_id in sensor_ids if (shard := sensor_id // size) in until}

    def served_anomalies(self, sensor_ids: Collection[int], first_end: int, last_end: int) -> list[Anomaly]:
        """Return the anomalies of sensors found in real time, ``first_end <= end <= last_end``."""
        if not sensor_ids:
            return []
        served, found = served_windows.c, anomalies.c
        served_end: sa.ColumnElement[Any] = served.TS
        wanted = self._database.dialect.rows([served.SensorId], [[sensor_id] for sensor_id in sensor_ids])
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
        wanted = self._database.dialect.rows([table.SensorId], [[sensor_id] for sensor_id in sensor_ids])
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
        return [_window_of(row) for row in rows]


def _row(window: ServedWindow) -> dict[str, object]:
    return {
        "SensorId": window.sensor_id,
        "TS": window.end,
        "Readings": window.readings,
        "Value": window.value,
        "Score": window.score,
        "Winner": window.winner,
        "Decider": window.combiner,
        "ModelVersion": window.model_version,
        "Answers": msgspec.json.encode(window.answers).decode(),
        "ScoredAt": window.scored_at,
    }


def _window_of(row: sa.Row[Any]) -> ServedWindow:
    return ServedWindow(
        sensor_id=row.SensorId,
        end=row.TS,
        readings=row.Readings,
        value=row.Value,
        score=row.Score,
        winner=row.Winner,
        combiner=row.Decider,
        model_version=row.ModelVersion,
        answers=_ANSWERS.decode(row.Answers),
        scored_at=row.ScoredAt,
    )
