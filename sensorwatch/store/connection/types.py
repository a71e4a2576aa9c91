"""Column types with the same behaviour on all dialects: times in UTC, window ends, exact floats and long texts."""

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
    """Return whole seconds since 1970-01-01T00:00:00Z, rounded down, because windows end at whole seconds.

    Examples
    --------
    >>> seconds_of(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    60
    """
    return (moment - _EPOCH) // _SECOND


def time_of(seconds: int) -> datetime:
    """Return the time (UTC) for seconds since 1970-01-01T00:00:00Z."""
    return _EPOCH + seconds * _SECOND


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A time with a zone: DATETIME2(6) in UTC on SQL Server, microseconds since 1970-01-01T00:00:00Z on SQLite.

    It has six digits, because not every server returns the seventh.
    """

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type in the database."""
        return _time_type(dialect)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return the value for the driver.

        Raises
        ------
        ValueError
            The time has no zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a time with a zone, got {value!r}; set tzinfo=UTC")
        if dialect.name == "mssql":
            return value.astimezone(UTC).replace(tzinfo=None)
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the stored time in UTC."""
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
        """Return the value for the driver."""
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
    """A SQLite column without a type, because a REAL column stores -0.0 as the integer 0."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return ""


def ExactFloat() -> sa.types.TypeEngine[float]:  # noqa: N802 - used like a column type
    """Return the type of a float64 that is stored exactly, including the sign of zero."""
    return sa.Float().with_variant(_NoAffinity(), "sqlite")


def LongText() -> sa.types.TypeEngine[str]:  # noqa: N802 - used like a column type
    """Return the type of a text of any length: NVARCHAR(MAX) on SQL Server, whatever the driver detects."""
    return sa.UnicodeText().with_variant(mssql.NVARCHAR(), "mssql")
