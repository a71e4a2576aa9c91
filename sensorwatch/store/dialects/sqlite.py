"""SQLite: floats are passed as bound values, because SQLite does not parse decimals in JSON exactly."""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect, insert

from sensorwatch.sensors.windows import BEFORE_ALL_WINDOWS
from sensorwatch.store.dialects import json_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from sensorwatch.store.dialects import WindowRow

__all__ = ["SqliteDialect"]

_DIALECT = dialect()
_CHUNKS = (1000, 500, 100, 20)


@cache
def _merge_windows(rows: int) -> str:
    values = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * rows)
    return f"""\
INSERT INTO SensorWindows (Shard, TS, SensorId, Readings, Total, Minimum, Maximum, SumOfSquares) VALUES {values}
ON CONFLICT (Shard, TS, SensorId) DO UPDATE SET
    Readings = Readings + excluded.Readings,
    Total = Total + excluded.Total,
    Minimum = min(Minimum, excluded.Minimum),
    Maximum = max(Maximum, excluded.Maximum),
    SumOfSquares = SumOfSquares + excluded.SumOfSquares"""  # noqa: S608 - only question marks


@cache
def _move_newest(rows: int) -> str:
    values = ", ".join(["(?, ?)"] * rows)
    return f"""\
WITH Given (Sensor, Newest) AS (VALUES {values})
UPDATE Sensors SET LastWindow = Given.Newest FROM Given
WHERE SensorId = Given.Sensor AND (LastWindow IS NULL OR LastWindow < Given.Newest)"""  # noqa: S608 - only question marks


_PLANNED_SINCE = "SELECT Shard, PlannedUntil FROM ShardScoring WHERE PlannedUntil >= ?"

_MARK_FOR_RESCORING = """\
INSERT INTO RescoreWindows (Shard, TS, SensorId, Readings)
SELECT Shard, TS, SensorId, Readings FROM SensorWindows WHERE Shard = ? AND TS = ? AND SensorId = ?
ON CONFLICT (Shard, TS, SensorId) DO UPDATE SET Readings = excluded.Readings"""


class SqliteDialect:
    """Statements for SQLite 3.35 and newer."""

    def rows(self, columns: Sequence[sa.Column[Any]], rows: Iterable[Sequence[object]]) -> sa.Subquery:
        """Return rows as a subquery to join with; see :meth:`~sensorwatch.store.dialects.Dialect.rows`."""
        names = ", ".join(f"json_extract(value, '$[{i}]') AS \"{column.name}\"" for i, column in enumerate(columns))
        return (
            sa.text(f"SELECT {names} FROM json_each(:rows)")  # noqa: S608 - the names are those of our own columns
            .bindparams(sa.bindparam("rows", json_rows(_DIALECT, columns, rows), unique=True))
            .columns(*(sa.column(column.name, column.type) for column in columns))
            .subquery("given")
        )

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]], *, overwrite: bool
    ) -> int:
        """Insert rows; see :meth:`~sensorwatch.store.dialects.Dialect.upsert`."""
        if not rows:
            return 0
        added = connection.execute(
            insert(table).on_conflict_do_nothing(),
            [dict(row) for row in rows],
            execution_options={"preserve_rowcount": True},
        ).rowcount
        if overwrite and added < len(rows):
            self.update(connection, table, [column.name for column in table.primary_key], rows)
        return added

    def update(
        self, connection: sa.Connection, table: sa.Table, keys: Collection[str], rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Update existing rows; see :meth:`~sensorwatch.store.dialects.Dialect.update`."""
        if not rows:
            return
        statement = (
            table.update()
            .where(*(table.c[key] == sa.bindparam(f"of_{key}") for key in keys))
            .values({name: sa.bindparam(f"to_{name}") for name in rows[0] if name not in keys})
        )
        prefixes = {name: "of_" if name in keys else "to_" for name in rows[0]}
        connection.execute(statement, [{prefixes[name] + name: row[name] for name in row} for row in rows])

    def delete(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> int:
        """Delete rows; see :meth:`~sensorwatch.store.dialects.Dialect.delete`."""
        if not rows:
            return 0
        statement = table.delete().where(*(table.c[name] == sa.bindparam(f"of_{name}") for name in rows[0]))
        return connection.execute(
            statement,
            [{f"of_{name}": value for name, value in row.items()} for row in rows],
            execution_options={"preserve_rowcount": True},
        ).rowcount

    def merge_windows(self, connection: sa.Connection, rows: Sequence[WindowRow]) -> None:
        """Merge windows; the write lock that the transaction took at its start excludes all others."""
        _in_chunks(connection, _merge_windows, rows)
        # Rows of a shard are ordered by end, so the last one of a sensor is its newest.
        newest = {row[2]: row[1] for row in rows}
        _in_chunks(connection, _move_newest, list(newest.items()))
        oldest = min(row[1] for row in rows)
        planned: dict[int, int] = dict(connection.exec_driver_sql(_PLANNED_SINCE, (oldest,)).all())
        if planned:
            changed = [row[:3] for row in rows if row[1] <= planned.get(row[0], BEFORE_ALL_WINDOWS)]
            if changed:
                connection.exec_driver_sql(_MARK_FOR_RESCORING, changed)


def _in_chunks(
    connection: sa.Connection, statement: Callable[[int], str], rows: Sequence[tuple[int | float, ...]]
) -> None:
    """Run a statement over all rows in chunks, which costs half as much as row by row."""
    at = 0
    for size in _CHUNKS:
        while len(rows) - at >= size:
            connection.exec_driver_sql(statement(size), tuple(chain.from_iterable(rows[at : at + size])))
            at += size
    if at < len(rows):
        connection.exec_driver_sql(statement(1), list(rows[at:]))
