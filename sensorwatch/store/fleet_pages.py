"""The catalogue as people browse it: devices, shards, and how old models are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.page_records import ShardSize
from sensorwatch.store.sensors import SensorPart, sensor_status
from sensorwatch.store.tables import sensors
from sensorwatch.store.types import time_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.records import SensorStatus

__all__ = ["FleetPagesPart"]


class FleetPagesPart(SensorPart):
    """Implements :class:`~sensorwatch.ports.FleetPages`."""

    def device_page(self, limit: int, after: str | None = None) -> list[str]:
        """Return the names of devices in the database's order."""
        device = sensors.c.Device
        query = sa.select(device).distinct().order_by(device).limit(limit)
        if after is not None:
            query = query.where(device > after)
        return self._database.read(lambda connection: list(connection.execute(query).scalars()))

    def sensors_of(self, devices: Sequence[str]) -> list[SensorStatus]:
        """Return the sensors of these devices (2,000 at most), ordered by device and tag."""
        device = sensors.c.Device
        query = sa.select(sensors).where(device.in_(devices)).order_by(device, sensors.c.Tag)
        return self._database.read(lambda connection: [sensor_status(row) for row in connection.execute(query)])

    def shard_page(self, limit: int, after: int | None = None) -> list[ShardSize]:
        """Return the shards in order: ids are dense, so the first and the last sensor say which there are."""
        size = self._database.shard_size
        query = sa.select(sa.func.max(sensors.c.SensorId))
        newest = self._database.read(lambda connection: connection.execute(query).scalar_one())
        if newest is None:
            return []
        first = 0 if after is None else after + 1
        last = min(newest // size, first + limit - 1)
        return [ShardSize(shard, min(size, newest + 1 - shard * size)) for shard in range(first, last + 1)]

    def model_times(self) -> list[tuple[datetime, int]]:
        """Return the ends (UTC) of the newest training windows with how many sensors have each, oldest first."""
        trained = sensors.c.TrainedUntil
        query = sa.select(trained, sa.func.count()).where(trained.is_not(None)).group_by(trained).order_by(trained)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [(time_of(until), number) for until, number in rows]
