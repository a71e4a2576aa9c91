"""Labels of windows: imported ones, and those of judged alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.sensors.labels import LabelSpan, ShardLabels
from sensorwatch.store.connection.database import StorePart
from sensorwatch.store.connection.types import seconds_of
from sensorwatch.store.tables import alerts, anomalies, label_spans

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

__all__ = ["LabelPart"]

_ANOMALY = "anomaly"
_CONFIRMED = "confirmed"


class LabelPart(StorePart):
    """Implements :class:`~sensorwatch.sensors.ports.LabelStore`."""

    def add_labels(self, spans: Iterable[LabelSpan]) -> int:
        """Store labels; return the number of new spans."""
        rows = [
            {
                "SensorId": span.sensor_id,
                "FirstEnd": span.first_end,
                "LastEnd": span.last_end,
                "Anomalous": int(span.anomalous),
            }
            for span in spans
        ]
        dialect = self._database.dialect
        return self._database.write(lambda connection: dialect.upsert(connection, label_spans, rows, overwrite=False))

    def remove_labels(self, sensor_ids: Collection[int]) -> int:
        """Delete the imported labels of these sensors; return their number."""
        rows = [{"SensorId": sensor_id} for sensor_id in sensor_ids]
        dialect = self._database.dialect
        return self._database.write(lambda connection: dialect.delete(connection, label_spans, rows))

    def label_spans(self, shard: int | None = None) -> list[LabelSpan]:
        """Return all labels, or those of one shard: imported ones first, then those of alerts, by sensor and time."""
        imported = sa.select(
            label_spans.c.SensorId, label_spans.c.FirstEnd, label_spans.c.LastEnd, label_spans.c.Anomalous
        ).order_by(label_spans.c.SensorId, label_spans.c.FirstEnd, label_spans.c.LastEnd, label_spans.c.Anomalous)
        judged = (
            sa.select(alerts.c.SensorId, alerts.c.OpenedEnd, alerts.c.LastAnomalyEnd, alerts.c.Feedback)
            .where(alerts.c.Feedback.is_not(None), alerts.c.Kind == _ANOMALY)
            .order_by(alerts.c.SensorId, alerts.c.OpenedEnd)
        )
        if shard is not None:
            imported = imported.where(*self._of_shard(label_spans.c.SensorId, shard))
            judged = judged.where(*self._of_shard(alerts.c.SensorId, shard))

        def work(connection: sa.Connection) -> list[LabelSpan]:
            found = [LabelSpan(*row[:3], anomalous=bool(row.Anomalous)) for row in connection.execute(imported)]
            return found + [
                LabelSpan(*row[:3], anomalous=row.Feedback == _CONFIRMED) for row in connection.execute(judged)
            ]

        return self._database.read(work)

    def shard_labels(self, shard: int, start: datetime | None, end: datetime) -> ShardLabels:
        """Return the labels of a shard; see :meth:`~sensorwatch.sensors.ports.LabelStore.shard_labels`."""
        table = anomalies.c
        window_end = table.TS
        query = sa.select(table.SensorId, window_end).where(
            *self._of_shard(table.SensorId, shard), window_end <= seconds_of(end)
        )
        if start is not None:
            query = query.where(window_end > seconds_of(start))
        found = self._database.read(lambda connection: [(row[0], row[1]) for row in connection.execute(query)])
        return ShardLabels(self.label_spans(shard), found)

    def _of_shard(self, sensor_id: sa.Column[int], shard: int) -> tuple[sa.ColumnElement[bool], ...]:
        first = shard * self._database.shard_size
        return sensor_id >= first, sensor_id < first + self._database.shard_size
