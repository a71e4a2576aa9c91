"""What the two dialects do differently: many rows in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import sqlalchemy as sa

__all__ = ["Dialect", "WindowRow", "dialect_named"]

WindowRow = tuple[int, int, int, int, float, float, float, float]
"""A row of SensorWindows: shard, end (seconds since 1970), sensor id, readings, total, minimum, maximum, squares."""


class Dialect(Protocol):
    """Statements over many rows; values always travel as parameters."""

    def rows(self, columns: Sequence[sa.Column[Any]], rows: Iterable[Sequence[object]]) -> sa.Subquery:
        """Return rows as something to join with, in one JSON parameter; columns are named as those given.

        Not for floats: SQLite's own reading of decimals need not give the very same number.
        """
        ...

    def upsert(
        self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]], *, overwrite: bool
    ) -> int:
        """Insert rows, and overwrite those whose primary key exists if asked to; return how many were inserted.

        Every row has the same keys: all columns that have no default.
        """
        ...

    def update(
        self, connection: sa.Connection, table: sa.Table, keys: Collection[str], rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Set the other columns of the rows that match in ``keys``; rows without a match are passed over."""
        ...

    def delete(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, object]]) -> int:
        """Delete the rows equal in the columns given; return how many there were."""
        ...

    def merge_windows(self, connection: sa.Connection, rows: Sequence[WindowRow]) -> None:
        """Merge windows into SensorWindows and do what follows from it, as ``IngestStore.commit_ingest`` says.

        ``rows`` are ordered by (shard, end, sensor id), which is the clustered key, and distinct in it.
        """
        ...


def dialect_named(name: str) -> Dialect:
    """Return SQLAlchemy's dialect ``mssql`` or ``sqlite``."""
    if name == "mssql":
        from sensorwatch.store.dialects.mssql import MssqlDialect

        return MssqlDialect()
    from sensorwatch.store.dialects.sqlite import SqliteDialect

    return SqliteDialect()
