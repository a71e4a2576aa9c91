"""Pages of devices and shards, and ages of models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.store.connection.types import time_of
from sensorwatch.store.pages.queries import ShardSize
from sensorwatch.store.sensors import SensorPart, sensor_status
from sensorwatch.store.tables import sensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.sensors.records import SensorStatus

__all__ = ["FleetPagesPart"]

_READY = sa.literal_column("'ready'", sa.String)


class FleetPagesPart(SensorPart):
    """Pages of the catalogue: devices, shards, and ages of models."""

    def device_page(self, limit: int, after: str | None = None) -> list[str]:
        """Return a page of device names, in the order of the database."""
        device = sensors.c.Device
        query = sa.select(device).distinct().order_by(device).limit(limit)
        if after is not None:
            query = query.where(device > after)
        return self._database.read(lambda connection: list(connection.execute(query).scalars()))

    def sensors_of(self, devices: Sequence[str]) -> list[SensorStatus]:
        """Return the sensors of at most 2,000 devices, ordered by device and tag."""
        device = sensors.c.Device
        query = sa.select(sensors).where(device.in_(devices)).order_by(device, sensors.c.Tag)
        return self._database.read(lambda connection: [sensor_status(row) for row in connection.execute(query)])

    def shard_page(self, limit: int, after: int | None = None) -> list[ShardSize]:
        """Return a page of shards in order. Ids are dense, so the shards follow from the highest sensor id."""
        size = self._database.shard_size
        query = sa.select(sa.func.max(sensors.c.SensorId))
        newest = self._database.read(lambda connection: connection.execute(query).scalar_one())
        if newest is None:
            return []
        first = 0 if after is None else after + 1
        last = min(newest // size, first + limit - 1)
        return [ShardSize(shard, min(size, newest + 1 - shard * size)) for shard in range(first, last + 1)]

    def trained_until(self, shares: Sequence[float]) -> list[datetime | None]:
        """Return, for each share, the time (UTC) that this share of the models is trained until (nearest rank)."""
        trained = sensors.c.TrainedUntil
        with_model = sa.select(trained).where(trained.is_not(None))
        number = sa.select(sa.func.count()).select_from(sensors).where(trained.is_not(None))

        def at(connection: sa.Connection, rank: int, total: int) -> datetime | None:
            # An index has them in order, and one of its ends is nearer to the rank.
            if 2 * rank <= total:
                ranked = with_model.order_by(trained.desc()).offset(rank - 1)
            else:
                ranked = with_model.order_by(trained).offset(total - rank)
            found = connection.execute(ranked.limit(1)).scalar_one_or_none()
            return None if found is None else time_of(found)

        def work(connection: sa.Connection) -> list[datetime | None]:
            total = connection.execute(number).scalar_one()
            if not total:
                return [None for _ in shares]
            return [at(connection, max(1, math.ceil(total * share)), total) for share in shares]

        return self._database.read(work)

    def failed_sensors(self) -> int:
        """Return the number of sensors whose training failed."""
        state = sensors.c.State
        # A literal, because with a parameter neither engine sees that the partial index covers these rows.
        query = sa.select(sa.func.count()).select_from(sensors).where(state == "failed", state != _READY)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def newest_window(self) -> datetime | None:
        """Return the end (UTC) of the newest window of all sensors; None without windows."""
        query = sa.select(sa.func.max(sensors.c.LastWindow))
        newest = self._database.read(lambda connection: connection.execute(query).scalar_one())
        return None if newest is None else time_of(newest)
