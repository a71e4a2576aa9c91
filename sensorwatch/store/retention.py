"""Deletion of old windows and of their real-time scores."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.store.connection.database import StorePart
from sensorwatch.store.connection.types import seconds_of
from sensorwatch.store.tables import rescore_windows, sensor_windows, served_windows

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["RetentionPart"]

# A shard of 1,000 sensors has 17 million windows a day; transactions of ten minutes of windows stay short.
_SLICE_SECONDS = 600
# From 5,000 locked rows on, SQL Server locks the whole table, and real-time scoring could not write meanwhile.
_SERVED_ROWS = 2000


class RetentionPart(StorePart):
    """Implements :class:`~sensorwatch.ingestion.ports.RetentionStore`."""

    def delete_windows(self, until: datetime) -> int:
        """Delete every window that ends at or before ``until`` (UTC); return their number.

        Real-time scores are deleted first, then the windows of each shard, oldest first, in short transactions. An
        interrupted deletion continues where it stopped.
        """
        limit = seconds_of(until)
        while self._database.write(partial(self._delete_served, limit=limit)) == _SERVED_ROWS:
            pass
        shards = self._database.read(
            lambda connection: list(connection.execute(sa.select(sensor_windows.c.Shard).distinct()).scalars())
        )
        return sum(self._delete_of(shard, limit) for shard in shards)

    def _delete_of(self, shard: int, limit: int) -> int:
        deleted = 0
        while (oldest := self._oldest(shard)) is not None and oldest <= limit:
            end = min(limit, oldest + _SLICE_SECONDS)
            deleted += self._database.write(partial(_delete, shard=shard, end=end))
        return deleted

    def _delete_served(self, connection: sa.Connection, limit: int) -> int:
        key = list(served_windows.primary_key.columns)
        oldest = sa.select(*key).where(limit >= served_windows.c.TS).order_by(served_windows.c.TS).limit(_SERVED_ROWS)
        names = [column.name for column in key]
        rows = [dict(zip(names, row, strict=True)) for row in connection.execute(oldest)]
        self._database.dialect.delete(connection, served_windows, rows)
        return len(rows)

    def _oldest(self, shard: int) -> int | None:
        end = sa.type_coerce(sa.func.min(sensor_windows.c.TS), sensor_windows.c.TS.type)
        oldest: int | None = self._database.read(
            lambda connection: connection.scalar(sa.select(end).where(sensor_windows.c.Shard == shard))
        )
        return oldest


def _delete(connection: sa.Connection, shard: int, end: int) -> int:
    for table in (rescore_windows, sensor_windows):
        deleted = connection.execute(table.delete().where(table.c.Shard == shard, end >= table.c.TS)).rowcount
    return deleted
