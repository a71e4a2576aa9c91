"""Dialects of SQL Server and SQLite: statements over many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy.engine import Dialect as EngineDialect

__all__ = ["Dialect", "WindowRow", "dialect_named", "json_rows", "value_rows"]

WindowRow = tuple[int, int, int, int, float, float, float, float]
"""A row of SensorWindows: shard, end, sensor id, readings, total, minimum, maximum and sum of squares.

The end is in seconds since 1970-01-01T00:00:00Z.
"""


class Dialect(Protocol):
    """Statements over many rows; values are always passed as parameters."""

    def rows(self, columns: Sequence[sa.Column[Any]], rows: Iterable[Sequence[object]]) -> sa.Subquery:
        """Return rows as a subquery to join with, passed in one JSON parameter.

        Not for floats, because SQLite does not parse decimals exactly.

        Parameters
        ----------
        columns
            Columns whose names and types the subquery has.
        rows
            Values in the order of ``columns``.
        """
        ...

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]], *, overwrite: bool
    ) -> int:
        """Insert rows; return the number of inserted rows.

        Parameters
        ----------
        connection
            Connection with an open transaction.
        table
            The table.
        rows
            Rows by column. All have the same columns: at least those without a default.
        overwrite
            True: update rows whose primary key exists; False: leave them as they are.
        """
        ...

    def update(
        self, connection: sa.Connection, table: sa.Table, keys: Collection[str], rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Update existing rows; rows without a match are ignored.

        Parameters
        ----------
        connection
            Connection with an open transaction.
        table
            The table.
        keys
            Columns that identify a row; the others are set.
        rows
            Rows by column; all have the same columns.
        """
        ...

    def delete(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> int:
        """Delete the rows that equal one of ``rows`` in its columns; return their number.

        Parameters
        ----------
        connection
            Connection with an open transaction.
        table
            The table.
        rows
            Values by column; all have the same columns.
        """
        ...

    def merge_windows(self, connection: sa.Connection, rows: Sequence[WindowRow]) -> None:
        """Merge windows into SensorWindows, update the sensors' newest windows, and mark windows for rescoring.

        ``rows`` are ordered by the clustered key (shard, end, sensor id) and have distinct keys.
        """
        ...


def dialect_named(name: str) -> Dialect:
    """Return the dialect for SQLAlchemy's name ``mssql`` or ``sqlite``."""
    if name == "mssql":
        from sensorwatch.store.dialects.mssql import MssqlDialect

        return MssqlDialect()
    from sensorwatch.store.dialects.sqlite import SqliteDialect

    return SqliteDialect()


def value_rows(dialect: Dialect, column: sa.Column[Any], values: Iterable[object]) -> sa.Subquery:
    """Return values as a subquery of one column to join with.

    Parameters
    ----------
    dialect
        Dialect of the database.
    column
        Column whose name and type the subquery has.
    values
        The values.
    """
    return dialect.rows([column], [[value] for value in values])


def json_rows(dialect: EngineDialect, columns: Sequence[sa.Column[Any]], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as a JSON array of arrays, with each value as the driver stores it.

    Parameters
    ----------
    dialect
        SQLAlchemy's dialect, which converts values of decorated types.
    columns
        Columns of the values.
    rows
        Values in the order of ``columns``.
    """

    def stored(column: sa.Column[Any], value: object) -> object:
        if isinstance(column.type, sa.types.TypeDecorator):
            return column.type.process_bind_param(value, dialect)
        return value

    return msgspec.json.encode([list(map(stored, columns, row)) for row in rows]).decode()
