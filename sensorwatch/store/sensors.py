"""The catalogue of sensors and what training said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import sqlalchemy as sa

from sensorwatch.records import SensorKey, SensorState, SensorStatus
from sensorwatch.sensor_states import shown
from sensorwatch.store.database import StorePart
from sensorwatch.store.scoring import lock_untrained, mark_after_first_training
from sensorwatch.store.tables import sensors
from sensorwatch.store.types import seconds_of, time_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from sensorwatch.records import TrainingOutcome
    from sensorwatch.sensor_states import Freshness, SensorQuery

__all__ = ["SensorPart", "sensor_names", "sensor_status"]

_REASON_LENGTH = 500


class SensorPart(StorePart):
    """Implements :class:`~sensorwatch.ports.SensorStore`."""

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """Return the sensors (of one shard) ordered by id."""
        query = sa.select(sensors).order_by(sensors.c.SensorId)
        if shard is not None:
            size = self._database.shard_size
            query = query.where(sensors.c.SensorId.between(shard * size, (shard + 1) * size - 1))
        return self._database.read(lambda connection: [sensor_status(row) for row in connection.execute(query)])

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """Return these sensors by id; unknown ids are left out."""
        if not sensor_ids:
            return {}
        wanted = self._database.dialect.rows([sensors.c.SensorId], [[sensor_id] for sensor_id in set(sensor_ids)])
        query = sa.select(sensors).join_from(wanted, sensors, sensors.c.SensorId == wanted.c.SensorId)
        return self._database.read(
            lambda connection: {row.SensorId: sensor_status(row) for row in connection.execute(query)}
        )

    def find_sensors(self, query: SensorQuery, freshness: Freshness, *, limit: int = 100) -> list[SensorStatus]:
        """Return sensors ordered by id, with the state that is shown of them; at most ``limit``."""
        found = sa.select(sensors).where(*self._conditions(query, freshness)).order_by(sensors.c.SensorId).limit(limit)
        rows = self._database.read(lambda connection: connection.execute(found).all())
        return [shown(sensor_status(row), freshness) for row in rows]

    def count_states(self, query: SensorQuery, freshness: Freshness) -> dict[SensorState, int]:
        """Return how many sensors show each state, of those that the query finds; every state is there."""
        state = _shown_state(freshness).label("Shown")
        each = sa.select(state).where(*self._conditions(query, freshness)).subquery("each")
        counted = sa.select(each.c.Shown, sa.func.count()).group_by(each.c.Shown)
        states: tuple[SensorState, ...] = get_args(SensorState)
        counts = dict.fromkeys(states, 0)
        return counts | self._database.read(lambda connection: dict(connection.execute(counted).all()))

    def _conditions(self, query: SensorQuery, freshness: Freshness) -> list[sa.ColumnElement[bool]]:
        conditions = sensor_names(query.device, query.tag)
        if query.state is not None:
            conditions.append(_shown_state(freshness) == query.state)
        if query.after_id is not None:
            conditions.append(sensors.c.SensorId > query.after_id)
        if query.search is not None:
            conditions.append(sa.or_(self._begins(sensors.c.Device, query), self._begins(sensors.c.Tag, query)))
        return conditions

    def _begins(self, column: sa.Column[str], query: SensorQuery) -> sa.ColumnElement[bool]:
        """Return that a name begins with what is searched for, exactly: LIKE has other ideas of case and blanks."""
        text = query.search or ""
        # SQL Server counts UTF-16 units.
        mssql = self._database.engine.dialect.name == "mssql"
        length = len(text.encode("utf-16-le")) // 2 if mssql else len(text)
        return sa.func.substring(column, 1, length) == text

    def record_training(self, outcomes: Sequence[TrainingOutcome]) -> None:
        """Store each sensor's state, reason, newest training window and model version.

        "Trained until" never moves back. In the same transaction a sensor's first training marks the windows after it
        that its shard's scoring was planned past.
        """
        if not outcomes:
            return
        table = sensors.c
        given = self._database.dialect.rows(
            [table.SensorId, table.State, table.Reason, table.TrainedUntil, table.ModelVersion],
            [
                [
                    outcome.sensor_id,
                    outcome.state,
                    outcome.reason[:_REASON_LENGTH],
                    None if outcome.trained_until is None else seconds_of(outcome.trained_until),
                    outcome.model_version,
                ]
                for outcome in outcomes
            ],
        )
        forward = sa.or_(table.TrainedUntil.is_(None), table.TrainedUntil < given.c.TrainedUntil)
        statement = (
            sensors.update()
            .where(table.SensorId == given.c.SensorId)
            .values(
                State=given.c.State,
                Reason=given.c.Reason,
                TrainedUntil=sa.case((forward, given.c.TrainedUntil), else_=table.TrainedUntil),
                ModelVersion=given.c.ModelVersion,
            )
        )
        until = {outcome.sensor_id: seconds_of(outcome.trained_until) for outcome in outcomes if outcome.trained_until}

        def work(connection: sa.Connection) -> None:
            dialect = self._database.dialect
            first = lock_untrained(connection, dialect, until.keys())
            if first:
                mark_after_first_training(connection, dialect, {sensor_id: until[sensor_id] for sensor_id in first})
            connection.execute(statement)

        self._database.write(work)


def sensor_names(device: str | None, tag: str | None) -> list[sa.ColumnElement[bool]]:
    """Return that a sensor has exactly these names; None: any."""
    column = sensors.c
    conditions: list[sa.ColumnElement[bool]] = []
    if device is not None:
        conditions += [column.Device == device, column.DeviceLength == len(device)]
    if tag is not None:
        conditions += [column.Tag == tag, column.TagLength == len(tag)]
    return conditions


def _shown_state(freshness: Freshness) -> sa.ColumnElement[str]:
    """Return :func:`sensorwatch.sensor_states.shown` in SQL."""
    column = sensors.c
    ready, windows = column.State == "ready", column.LastWindow.is_not(None)
    silent = column.LastWindow < seconds_of(freshness.window_since)
    old = (column.TrainedUntil < seconds_of(freshness.training_since)) & (column.TrainedUntil < column.LastWindow)
    return sa.case(
        ((column.State == "no-data") & windows, "warming"),
        (ready & windows & (silent | old), "stale"),
        else_=column.State,
    )


def sensor_status(row: sa.Row[Any]) -> SensorStatus:
    """Return the sensor in a row of Sensors."""
    return SensorStatus(
        sensor_id=row.SensorId,
        key=SensorKey(row.Device, row.Tag),
        shard=row.Shard,
        first_seen=row.FirstSeen,
        last_window=None if row.LastWindow is None else time_of(row.LastWindow),
        state=row.State,
        reason=row.Reason,
        trained_until=None if row.TrainedUntil is None else time_of(row.TrainedUntil),
        model_version=row.ModelVersion,
        train_from=None if row.TrainFrom is None else time_of(row.TrainFrom),
    )
