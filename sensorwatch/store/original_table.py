"""Import of the table ``SensorValues`` (TS, Device, Tag, Value) of an original system."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.store.connection.engine import open_engine
from sensorwatch.store.connection.retry import Retry

__all__ = ["read_original_table"]


def read_original_table(url: str, table: str = "SensorValues") -> tuple[list[Reading], int]:
    """Return the rows of the table as readings, oldest first, and the number of unusable rows.

    A TS without a time zone is UTC, as the original system wrote it. The values are averages over five seconds with the
    end of the window as their time, so they become the same windows here.

    Parameters
    ----------
    url
        SQLAlchemy URL of the original database.
    table
        Name of the table.

    Raises
    ------
    InvalidInputError
        The database has no such table, or the table lacks a column.
    SettingsError, TransientError
        The database can't be opened, or is unavailable.
    """
    engine = open_engine(url)
    columns: dict[str, sa.ColumnClause[Any]] = {name: sa.column(name) for name in ("TS", "Device", "Tag", "Value")}
    query = sa.select(*columns.values()).select_from(sa.table(table)).order_by(columns["TS"])

    def work() -> tuple[list[Reading], int]:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table(table):
                raise InvalidInputError(f"the database has no table {table}; name another one with `--table`")
            found = {column["name"] for column in sa.inspect(connection).get_columns(table)}
            if missing := sorted(columns.keys() - found):
                raise InvalidInputError(
                    f"{table}: expected the columns TS, Device, Tag and Value, got {', '.join(sorted(found))}; "
                    f"missing: {', '.join(missing)}"
                )
            readings = [_reading(row) for row in connection.execute(query)]
            return [each for each in readings if each is not None], sum(each is None for each in readings)

    try:
        return Retry()(work)
    finally:
        engine.dispose()


def _reading(row: sa.Row[Any]) -> Reading | None:
    ts, device, tag, value = row.TS, row.Device, row.Tag, row.Value
    if isinstance(ts, str):
        try:
            ts = datetime.fromisoformat(ts)
        except ValueError:
            return None
    if not isinstance(ts, datetime) or device is None or tag is None or not isinstance(value, (int, float)):
        return None
    if not math.isfinite(value):
        return None
    return Reading(str(device), str(tag), ticks_of(ts if ts.tzinfo else ts.replace(tzinfo=UTC)), float(value))
