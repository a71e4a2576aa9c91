"""Column types: times in UTC, window ends and exact floats, alike on every dialect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.types import TypeEngine

__all__ = ["ExactFloat", "LongText", "UtcTime", "WindowEnd", "seconds_of", "time_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


def seconds_of(moment: datetime) -> int:
    """Return whole seconds since 1970-01-01T00:00:00Z, rounded down: no window ends between them.

    Examples
    --------
    >>> seconds_of(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    60
    """
    return (moment - _EPOCH) // _SECOND


def time_of(seconds: int) -> datetime:
    """Return the moment so many seconds after 1970-01-01T00:00:00Z, in UTC."""
    return _EPOCH + seconds * _SECOND


class UtcTime(sa.types.TypeDecorator[datetime]):
    """An aware moment: DATETIME2(6) in UTC on SQL Server, microseconds since 1970-01-01T00:00:00Z on SQLite.

    Six digits, as the seventh does not come back from every server.
    """

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type in the database."""
        return _time_type(dialect)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return what the driver takes; a naive time is refused, as its zone can only be guessed."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"times must be aware, got the naive {value!r}; give it tzinfo=UTC")
        if dialect.name == "mssql":
            return value.astimezone(UTC).replace(tzinfo=None)
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the stored moment, aware, in UTC."""
        if value is None:
            return None
        if dialect.name == "mssql":
            stored: datetime = value.replace(tzinfo=UTC)
            return stored
        microseconds: int = value
        return _EPOCH + microseconds * _MICROSECOND


class WindowEnd(sa.types.TypeDecorator[int]):
    """The end of a window in whole seconds since 1970-01-01T00:00:00Z; DATETIME2(6) in UTC on SQL Server."""

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type in the database."""
        return _time_type(dialect)

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """Return what the driver takes."""
        if value is None or dialect.name != "mssql":
            return value
        return time_of(value).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Return the stored end in seconds."""
        if value is None:
            return None
        return seconds_of(value.replace(tzinfo=UTC)) if dialect.name == "mssql" else int(value)


def _time_type(dialect: Dialect) -> TypeEngine[Any]:
    if dialect.name == "mssql":
        return dialect.type_descriptor(mssql.DATETIME2(6))  # type: ignore[no-untyped-call]
    return dialect.type_descriptor(sa.BigInteger())


class _NoAffinity(sa.types.UserDefinedType[float]):
    """A SQLite column without a type: with affinity REAL it would store -0.0 as the integer 0."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return ""


def ExactFloat() -> sa.types.TypeEngine[float]:  # noqa: N802 - it stands where column types stand
    """Return the type of a float64 that comes back with every bit, the sign of zero included."""
    return sa.Float().with_variant(_NoAffinity(), "sqlite")


def LongText() -> sa.types.TypeEngine[str]:  # noqa: N802 - it stands where column types stand
    """Return the type of a text of any length: NVARCHAR(MAX) on SQL Server, whatever the driver says of the server."""
    return sa.UnicodeText().with_variant(mssql.NVARCHAR(), "mssql")
