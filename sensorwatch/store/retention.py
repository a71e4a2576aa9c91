"""Deleting windows that are older than anybody needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.store.database import StorePart
from sensorwatch.store.tables import rescore_windows, sensor_windows
from sensorwatch.store.types import seconds_of

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["RetentionPart"]

# A day of a shard of 1,000 sensors is 17 million windows: a transaction of a few minutes' worth holds no one up.
_SLICE_SECONDS = 600


class RetentionPart(StorePart):
    """Implements :class:`~sensorwatch.ports.RetentionStore`."""

    def delete_windows(self, until: datetime) -> int:
        """Delete every window that ends at or before ``until`` (UTC); return how many there were.

        Each shard's oldest windows go first, some minutes of them in a transaction, so that ingestion never waits long
        and what was interrupted goes on where it stopped.
        """
        limit = seconds_of(until)
        shards = self._database.read(
            lambda connection: list(connection.scalars(sa.select(sensor_windows.c.Shard).distinct()))
        )
        return sum(self._delete_of(shard, limit) for shard in shards)

    def _delete_of(self, shard: int, limit: int) -> int:
        deleted = 0
        while (oldest := self._oldest(shard)) is not None and oldest <= limit:
            end = min(limit, oldest + _SLICE_SECONDS)
            deleted += self._database.write(partial(_delete, shard=shard, end=end))
        return deleted

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
