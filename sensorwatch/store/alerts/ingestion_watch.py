"""Progress of ingestion, and the alerts of its stops."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.store.alerts.rows import alert_of
from sensorwatch.store.alerts.watching import WatchPart
from sensorwatch.store.tables import alerts, ingest_partitions, reporting_profiles, sensors, store_settings

if TYPE_CHECKING:
    from sensorwatch.alerts.records import Alert

__all__ = ["IngestionWatchPart"]

_PROGRESS = "ingestion_progress"
"""Name of the row that holds the number of received readings, and the time at which it was first seen."""


class IngestionWatchPart(WatchPart):
    """Implements :class:`~sensorwatch.alerts.ports.IngestionWatchStore`."""

    def ingestion_progress(self, now: datetime) -> datetime:
        """Return the time (UTC) of the first call after the number of ingested readings last changed."""
        stored = sa.select(store_settings.c.Value).where(store_settings.c.Name == _PROGRESS)
        received = sa.select(sa.func.coalesce(sa.func.sum(ingest_partitions.c.Received), 0))

        def work(connection: sa.Connection) -> datetime:
            value = connection.execute(stored).scalar_one_or_none()
            number = int(connection.execute(received).scalar_one())
            if value is not None:
                before, _, since = value.partition(" ")
                if int(before) == number:
                    return datetime.fromisoformat(since)
            row = {"Name": _PROGRESS, "Value": f"{number} {now.isoformat()}"}
            self._database.dialect.upsert(connection, store_settings, [row], overwrite=True)
            return now

        return self._database.write(work)

    def fastest_sensor(self, after: int) -> tuple[int, int] | None:
        """Return usual interval and longest usual gap of the trained sensor that reports most often, in seconds."""
        profile = reporting_profiles.c
        gap = sa.func.coalesce(profile.GapSeconds, profile.IntervalSeconds)
        query = (
            sa.select(profile.IntervalSeconds, gap)
            .join_from(sensors, reporting_profiles, profile.SensorId == sensors.c.SensorId)
            .where(sensors.c.LastWindow > after)
            .order_by(profile.IntervalSeconds, gap)
            .limit(1)
        )
        row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else (row[0], row[1])

    def ingestion_alerts(self) -> tuple[dict[str, Alert], int]:
        """Return the open alerts of kind ``ingestion-stopped`` by id, and the end of the newest cleared one or 0."""
        query = (
            sa.select(alerts).where(alerts.c.Kind == "ingestion-stopped").order_by(alerts.c.OpenedEnd.desc()).limit(10)
        )
        found = self._database.read(lambda connection: [alert_of(row) for row in connection.execute(query)])
        cleared = max((alert.cleared_end for alert in found if alert.cleared_end is not None), default=0)
        return {alert.alert_id: alert for alert in found if alert.cleared_end is None}, cleared
