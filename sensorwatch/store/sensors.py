"""The catalogue of sensors, with their state of training."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

import sqlalchemy as sa

from sensorwatch.sensors.records import SensorKey, SensorState, SensorStatus
from sensorwatch.sensors.states import shown
from sensorwatch.store.connection.database import StorePart
from sensorwatch.store.connection.types import seconds_of, time_of
from sensorwatch.store.dialects import value_rows
from sensorwatch.store.scoring import lock_untrained, mark_after_first_training
from sensorwatch.store.tables import sensors

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from sensorwatch.sensors.records import TrainingOutcome
    from sensorwatch.sensors.states import Freshness, SensorQuery

__all__ = ["SensorPart", "sensor_names", "sensor_status"]

_REASON_LENGTH = 500
_FEW_FOUND = 2000
"""Largest number of search results that are looked up in the indexes; for more, the catalogue is scanned."""

_LAST_IN_BOTH_ORDERS = 0xD7FF


class SensorPart(StorePart):
    """Implements :class:`~sensorwatch.sensors.ports.SensorStore`."""

    def sensors(self, shard: int | None = None) -> list[SensorStatus]:
        """Return all sensors, or those of one shard, ordered by id."""
        query = sa.select(sensors).order_by(sensors.c.SensorId)
        if shard is not None:
            size = self._database.shard_size
            query = query.where(sensors.c.SensorId.between(shard * size, (shard + 1) * size - 1))
        return self._database.read(lambda connection: [sensor_status(row) for row in connection.execute(query)])

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """Return sensors by id; unknown ids are left out."""
        if not sensor_ids:
            return {}
        wanted = value_rows(self._database.dialect, sensors.c.SensorId, set(sensor_ids))
        query = sa.select(sensors).join_from(wanted, sensors, sensors.c.SensorId == wanted.c.SensorId)
        return self._database.read(
            lambda connection: {row.SensorId: sensor_status(row) for row in connection.execute(query)}
        )

    def sensor_keys(self, sensor_ids: Collection[int]) -> dict[int, SensorKey]:
        """Return the names of sensors by id; unknown ids are left out."""
        if not sensor_ids:
            return {}
        table = sensors.c
        query = sa.select(table.SensorId, table.Device, table.Tag).where(table.SensorId.in_(self._given(sensor_ids)))
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {row.SensorId: SensorKey(row.Device, row.Tag) for row in rows}

    def find_sensors(self, query: SensorQuery, freshness: Freshness, *, limit: int = 100) -> list[SensorStatus]:
        """Return sensors with their shown state, ordered by id.

        Parameters
        ----------
        query
            Conditions that the sensors must meet.
        freshness
            Limits of stale sensors and models.
        limit
            Largest number of sensors.
        """

        def work(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
            conditions = self._conditions(connection, query)
            if query.state is not None:
                conditions.append(_shown_state(freshness) == query.state)
            return connection.execute(
                sa.select(sensors).where(*conditions).order_by(sensors.c.SensorId).limit(limit)
            ).all()

        return [shown(sensor_status(row), freshness) for row in self._database.read(work)]

    def count_states(self, query: SensorQuery, freshness: Freshness) -> dict[SensorState, int]:
        """Return the number of matching sensors in each shown state; every state is included."""

        def work(connection: sa.Connection) -> dict[str, int]:
            conditions = self._conditions(connection, query)
            if not conditions:
                return _count_all(connection, freshness)
            return dict(connection.execute(_by_state(freshness, conditions)).all())

        states: tuple[SensorState, ...] = get_args(SensorState)
        found = self._database.read(work)
        return {state: found.get(state, 0) if query.state in (None, state) else 0 for state in states}

    def _conditions(self, connection: sa.Connection, query: SensorQuery) -> list[sa.ColumnElement[bool]]:
        """Return the conditions of a query, without the state."""
        conditions = sensor_names(query.device, query.tag)
        if query.after_id is not None:
            conditions.append(sensors.c.SensorId > query.after_id)
        if query.search is not None:
            few = self._few_that_begin(connection, query.search)
            begins = (self._begins(column, query.search) for column in (sensors.c.Device, sensors.c.Tag))
            conditions.append(sa.or_(*begins) if few is None else sensors.c.SensorId.in_(self._given(few)))
        return conditions

    def _few_that_begin(self, connection: sa.Connection, text: str) -> set[int] | None:
        """Return the sensors whose device or tag begins with a text, by the indexes; None if there are many.

        If there are many, scanning the catalogue in its order soon fills a page; the indexes have another order.
        """
        found: set[int] = set()
        for column in (sensors.c.Device, sensors.c.Tag):
            query = sa.select(sensors.c.SensorId).where(*_around(column, text), self._begins(column, text))
            found.update(connection.execute(query.limit(_FEW_FOUND + 1)).scalars())
            if len(found) > _FEW_FOUND:
                return None
        return found

    def _begins(self, column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
        """Return the condition that a name begins with a text exactly; LIKE treats case and blanks differently."""
        # SQL Server counts in UTF-16 units.
        mssql = self._database.engine.dialect.name == "mssql"
        length = len(text.encode("utf-16-le")) // 2 if mssql else len(text)
        return sa.func.substring(column, 1, length) == text

    def _given(self, sensor_ids: Collection[int]) -> sa.Select[Any]:
        given = value_rows(self._database.dialect, sensors.c.SensorId, sorted(sensor_ids))
        return sa.select(given.c.SensorId)

    def record_training(self, outcomes: Sequence[TrainingOutcome]) -> None:
        """Store each sensor's state, reason, newest training window and model version.

        "Trained until" never moves back. In the same transaction, a sensor's first training marks newer windows that
        scoring has already passed.
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
    """Return the conditions that a sensor has exactly these names; None: any name."""
    column = sensors.c
    conditions: list[sa.ColumnElement[bool]] = []
    if device is not None:
        conditions += [column.Device == device, column.DeviceLength == len(device)]
    if tag is not None:
        conditions += [column.Tag == tag, column.TagLength == len(tag)]
    return conditions


def _around(column: sa.Column[str], text: str) -> list[sa.ColumnElement[bool]]:
    """Return bounds in an index that include all names that begin with a text, and possibly others.

    The upper bound replaces the last character by the next one. From surrogates on, UTF-8 and UTF-16 sort differently,
    so such characters at the end are left out of it.
    """
    plain = text
    while plain and ord(plain[-1]) >= _LAST_IN_BOTH_ORDERS:
        plain = plain[:-1]
    after = [column < plain[:-1] + chr(ord(plain[-1]) + 1)] if plain else []
    return [column >= text, *after]


def _by_state(freshness: Freshness, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    each = sa.select(_shown_state(freshness).label("Shown")).where(*conditions).subquery("each")
    return sa.select(each.c.Shown, sa.func.count().label("Number")).group_by(each.c.Shown)


def _count_all(connection: sa.Connection, freshness: Freshness) -> dict[str, int]:
    """Return the number of sensors in each shown state.

    Most sensors of a fleet are ready, and grouping them would cost most. So only the other states are counted, by an
    index, and the ready sensors are the difference to the total.
    """
    state, number = sensors.c.State, sa.func.count().label("Number")
    # A literal, because with a parameter neither engine sees that the partial index covers these rows.
    not_ready = state != sa.literal_column("'ready'", sa.String)
    with_windows = (state == "no-data") & not_ready & sensors.c.LastWindow.is_not(None)
    counted: sa.CompoundSelect[Any] = sa.union_all(
        sa.select(sa.literal("all").label("Counted"), number).select_from(sensors),
        sa.select(sa.literal("fallen stale"), number).where(state == "ready", _is_stale(freshness)),
        sa.select(sa.literal("with windows"), number).where(with_windows),
        sa.select(state, number).where(not_ready).group_by(state),
    )
    found: Counter[str] = Counter(dict(connection.execute(counted).all()))
    total, stale, warming = found.pop("all", 0), found.pop("fallen stale", 0), found.pop("with windows", 0)
    # Between two counts another transaction may have changed a state.
    ready = max(0, total - found.total() - stale)
    found.update({"ready": ready, "stale": stale, "warming": warming, "no-data": -warming})
    return found


def _is_stale(freshness: Freshness) -> sa.ColumnElement[bool]:
    column = sensors.c
    overdue = column.LastWindow < seconds_of(freshness.window_since)
    old = (column.TrainedUntil < seconds_of(freshness.training_since)) & (column.TrainedUntil < column.LastWindow)
    return column.LastWindow.is_not(None) & (overdue | old)


def _shown_state(freshness: Freshness) -> sa.ColumnElement[str]:
    """Return :func:`sensorwatch.sensors.states.shown` in SQL."""
    column = sensors.c
    return sa.case(
        ((column.State == "no-data") & column.LastWindow.is_not(None), "warming"),
        ((column.State == "ready") & _is_stale(freshness), "stale"),
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
