"""SQL Server: many rows are passed as one JSON parameter, which ``OPENJSON … WITH`` turns into a rowset.

The statements are plain T-SQL that every SQL Server-compatible engine runs. UPDATE and INSERT … WHERE NOT EXISTS
replace MERGE, which can insert the same key twice under concurrency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.mssql import dialect

from sensorwatch.store.connection.types import LongText, time_of
from sensorwatch.store.dialects import json_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy.engine import Dialect

    from sensorwatch.store.dialects import WindowRow

__all__ = ["MERGE_WINDOWS", "MssqlDialect"]

_DIALECT: Dialect = dialect()  # type: ignore[no-untyped-call]

MERGE_WINDOWS = """\
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @windows NVARCHAR(MAX) = :windows;

UPDATE w
SET w.Readings = w.Readings + n.Readings,
    w.Total = w.Total + n.Total,
    w.Minimum = CASE WHEN n.Minimum < w.Minimum THEN n.Minimum ELSE w.Minimum END,
    w.Maximum = CASE WHEN n.Maximum > w.Maximum THEN n.Maximum ELSE w.Maximum END,
    w.SumOfSquares = w.SumOfSquares + n.SumOfSquares
FROM SensorWindows AS w
JOIN OPENJSON(@windows) WITH (
    Shard INT '$[0]', TS DATETIME2(6) '$[1]', SensorId INT '$[2]', Readings INT '$[3]',
    Total FLOAT '$[4]', Minimum FLOAT '$[5]', Maximum FLOAT '$[6]', SumOfSquares FLOAT '$[7]'
) AS n ON n.Shard = w.Shard AND n.TS = w.TS AND n.SensorId = w.SensorId;

INSERT INTO SensorWindows (Shard, TS, SensorId, Readings, Total, Minimum, Maximum, SumOfSquares)
SELECT n.Shard, n.TS, n.SensorId, n.Readings, n.Total, n.Minimum, n.Maximum, n.SumOfSquares
FROM OPENJSON(@windows) WITH (
    Shard INT '$[0]', TS DATETIME2(6) '$[1]', SensorId INT '$[2]', Readings INT '$[3]',
    Total FLOAT '$[4]', Minimum FLOAT '$[5]', Maximum FLOAT '$[6]', SumOfSquares FLOAT '$[7]'
) AS n
WHERE NOT EXISTS (
    SELECT 1 FROM SensorWindows AS w WHERE w.Shard = n.Shard AND w.TS = n.TS AND w.SensorId = n.SensorId
);

UPDATE s
SET s.LastWindow = n.Newest
FROM Sensors AS s
JOIN (
    SELECT j.SensorId, MAX(j.TS) AS Newest
    FROM OPENJSON(@windows) WITH (TS DATETIME2(6) '$[1]', SensorId INT '$[2]') AS j
    GROUP BY j.SensorId
) AS n ON n.SensorId = s.SensorId
WHERE s.LastWindow IS NULL OR s.LastWindow < n.Newest;

DECLARE @shards INT;
SELECT @shards = COUNT(*)
FROM ShardScoring AS p WITH (REPEATABLEREAD)
WHERE p.Shard IN (SELECT j.Shard FROM OPENJSON(@windows) WITH (Shard INT '$[0]') AS j);

INSERT INTO RescoreWindows (Shard, TS, SensorId, Readings)
SELECT w.Shard, w.TS, w.SensorId, w.Readings
FROM OPENJSON(@windows) WITH (Shard INT '$[0]', TS DATETIME2(6) '$[1]', SensorId INT '$[2]') AS n
JOIN ShardScoring AS p ON p.Shard = n.Shard AND p.PlannedUntil >= n.TS
JOIN SensorWindows AS w ON w.Shard = n.Shard AND w.TS = n.TS AND w.SensorId = n.SensorId
WHERE NOT EXISTS (
    SELECT 1 FROM RescoreWindows AS r WHERE r.Shard = n.Shard AND r.TS = n.TS AND r.SensorId = n.SensorId
);

UPDATE r
SET r.Readings = w.Readings
FROM RescoreWindows AS r
JOIN OPENJSON(@windows) WITH (Shard INT '$[0]', TS DATETIME2(6) '$[1]', SensorId INT '$[2]') AS n
    ON n.Shard = r.Shard AND n.TS = r.TS AND n.SensorId = r.SensorId
JOIN SensorWindows AS w ON w.Shard = r.Shard AND w.TS = r.TS AND w.SensorId = r.SensorId;

SELECT @shards AS Shards;
"""
"""Merge of windows in one round trip.

NOCOUNT and the final SELECT make the driver run the batch to its end. Without them it would stop at the first row
count, and later errors would be lost. XACT_ABORT rolls back everything after an error.

The rows of ShardScoring are locked after the windows are written, until the transaction ends, even with row versioning.
So either this transaction sees how far scoring is planned and marks its windows, or the planner waits for the commit
and its scoring reads the windows. The lock is a separate statement, because rows that a condition on PlannedUntil
excludes might not stay locked. Every shard with sensors has its row; a missing row could not be locked.
"""


class MssqlDialect:
    """Statements for SQL Server and Azure SQL."""

    def rows(self, columns: Sequence[sa.Column[Any]], rows: Iterable[Sequence[object]]) -> sa.Subquery:
        """Return rows as a subquery to join with; see :meth:`~sensorwatch.store.dialects.Dialect.rows`."""
        shape = ", ".join(
            f"[{column.name}] {column.type.compile(dialect=_DIALECT)} '$[{i}]'" for i, column in enumerate(columns)
        )
        names = ", ".join(f"[{column.name}]" for column in columns)
        given = sa.bindparam("rows", json_rows(_DIALECT, columns, rows), LongText(), unique=True)
        return (
            sa.text(f"SELECT {names} FROM OPENJSON(:rows) WITH ({shape})")  # noqa: S608 - names and types of our own
            .bindparams(given)
            .columns(*(sa.column(column.name, column.type) for column in columns))
            .subquery("given")
        )

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]], *, overwrite: bool
    ) -> int:
        """Insert rows; see :meth:`~sensorwatch.store.dialects.Dialect.upsert`."""
        if not rows:
            return 0
        keys = [column.name for column in table.primary_key]
        if overwrite:
            self.update(connection, table, keys, rows)
        names = list(rows[0])
        given = self._given(table, rows)
        same = (table.c[key] == given.c[key] for key in keys)
        missing = ~sa.exists(sa.select(sa.literal_column("1")).select_from(table).where(*same).correlate(given))
        statement = table.insert().from_select(names, sa.select(*given.c).where(missing), include_defaults=False)
        return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount

    def update(
        self, connection: sa.Connection, table: sa.Table, keys: Collection[str], rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Update existing rows; see :meth:`~sensorwatch.store.dialects.Dialect.update`."""
        if not rows:
            return
        given = self._given(table, rows)
        connection.execute(
            table.update()
            .where(*(table.c[key] == given.c[key] for key in keys))
            .values({name: given.c[name] for name in rows[0] if name not in keys})
        )

    def delete(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> int:
        """Delete rows; see :meth:`~sensorwatch.store.dialects.Dialect.delete`."""
        if not rows:
            return 0
        given = self._given(table, rows)
        same = (table.c[name] == given.c[name] for name in rows[0])
        wanted = sa.exists(sa.select(sa.literal_column("1")).select_from(given).where(*same).correlate(table))
        return connection.execute(table.delete().where(wanted), execution_options={"preserve_rowcount": True}).rowcount

    def _given(self, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> sa.Subquery:
        return self.rows([table.c[name] for name in rows[0]], [list(row.values()) for row in rows])

    def merge_windows(self, connection: sa.Connection, rows: Sequence[WindowRow]) -> None:
        """Merge windows with :data:`MERGE_WINDOWS`."""
        ends = {end: time_of(end).replace(tzinfo=None) for end in {row[1] for row in rows}}
        windows = msgspec.json.encode([(row[0], ends[row[1]], *row[2:]) for row in rows]).decode()
        given = sa.bindparam("windows", windows, LongText())
        connection.execute(sa.text(MERGE_WINDOWS).bindparams(given)).scalar_one()
