"""Status of real-time scoring: counts of readings, model statistics and refused versions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from sensorwatch.ingestion.records import Partition
from sensorwatch.realtime.latency_histogram import LatencyHistogram
from sensorwatch.realtime.records import ModelUse, RefusedVersion, ServingCounts, ServingStatus
from sensorwatch.store.connection.database import StorePart, take_lock
from sensorwatch.store.tables import model_uses, refused_versions, serving_partitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

__all__ = ["ServingStatusPart"]

_BINS = msgspec.json.Decoder(dict[int, int])
_REASON_LENGTH = 1000


class ServingStatusPart(StorePart):
    """Status methods of :class:`~sensorwatch.realtime.ports.ServingStore`."""

    def add_serving(self, counts: Mapping[Partition, ServingCounts], uses: Sequence[ModelUse], now: datetime) -> None:
        """Add counts and model statistics to the stored totals.

        A lock of the whole store serializes the calls, because totals are read, changed and written.

        Parameters
        ----------
        counts
            Numbers of readings to add, by partition.
        uses
            Statistics to add.
        now
            Current time.
        """
        if not counts and not uses:
            return

        def work(connection: sa.Connection) -> None:
            take_lock(connection, "serving")
            dialect = self._database.dialect
            stored = {status.partition: status.counts for status in _status(connection)}
            rows = [
                _count_row(partition, _sum(stored.get(partition, ServingCounts()), added), now)
                for partition, added in counts.items()
            ]
            dialect.upsert(connection, serving_partitions, rows, overwrite=True)
            known = {(use.model, use.detector): use for use in _uses(connection)}
            rows = []
            for use in uses:
                total = known.get((use.model, use.detector), use)
                if total is not use:
                    total.add(use)
                rows.append(_use_row(total))
            dialect.upsert(connection, model_uses, rows, overwrite=True)

        self._database.write(work)

    def serving_status(self) -> list[ServingStatus]:
        """Return the counts of all partitions, ordered by partition."""
        return self._database.read(_status)

    def model_uses(self) -> list[ModelUse]:
        """Return the statistics of all models, ordered by model and detector."""
        return self._database.read(_uses)

    def refuse_version(self, refused: RefusedVersion) -> None:
        """Store a refused version of a shard's models; it replaces an earlier one."""
        row = {
            "Model": refused.model,
            "Shard": refused.shard,
            "Version": refused.version,
            "Reason": refused.reason[:_REASON_LENGTH],
            "RefusedAt": refused.refused_at,
        }
        dialect = self._database.dialect
        self._database.write(lambda connection: dialect.upsert(connection, refused_versions, [row], overwrite=True))

    def accept_version(self, model: str, shard: int) -> None:
        """Delete the refused version of a shard's models, because its current version is served."""
        table = refused_versions
        statement = table.delete().where(table.c.Model == model, table.c.Shard == shard)
        self._database.write(lambda connection: connection.execute(statement))

    def refused_versions(self) -> list[RefusedVersion]:
        """Return the refused versions, ordered by model and shard."""
        table = refused_versions.c
        query = sa.select(refused_versions).order_by(table.Model, table.Shard)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [RefusedVersion(row.Model, row.Shard, row.Version, row.Reason, row.RefusedAt) for row in rows]


def _status(connection: sa.Connection) -> list[ServingStatus]:
    table = serving_partitions.c
    query = sa.select(serving_partitions).order_by(table.Hub, table.ConsumerGroup, table.PartitionId)
    return [
        ServingStatus(
            Partition(row.Hub, row.ConsumerGroup, row.PartitionId),
            ServingCounts(
                row.Received, row.Scored, row.NotInTime, row.WithoutModel, row.Late, row.Duplicate, row.Invalid
            ),
            row.UpdatedAt,
        )
        for row in connection.execute(query)
    ]


def _sum(first: ServingCounts, second: ServingCounts) -> ServingCounts:
    return ServingCounts(*map(sum, zip(first, second, strict=True)))


def _count_row(partition: Partition, counts: ServingCounts, now: datetime) -> dict[str, object]:
    names = ("Received", "Scored", "NotInTime", "WithoutModel", "Late", "Duplicate", "Invalid")
    return {
        "Hub": partition.hub,
        "ConsumerGroup": partition.consumer_group,
        "PartitionId": partition.partition_id,
        **dict(zip(names, counts, strict=True)),
        "UpdatedAt": now,
    }


def _uses(connection: sa.Connection) -> list[ModelUse]:
    query = sa.select(model_uses).order_by(model_uses.c.Model, model_uses.c.Detector)
    return [_use_of(row) for row in connection.execute(query)]


def _use_of(row: sa.Row[Any]) -> ModelUse:
    return ModelUse(
        model=row.Model,
        detector=row.Detector,
        since=row.Since,
        version=row.Version,
        version_since=row.VersionSince,
        uses=row.Uses,
        timeouts=row.Timeouts,
        failures=row.Failures,
        disagreements=row.Disagreements,
        latencies=LatencyHistogram(Counter(_BINS.decode(row.Latencies)), row.TotalSeconds, row.LongestSeconds),
    )


def _use_row(use: ModelUse) -> dict[str, object]:
    return {
        "Model": use.model,
        "Detector": use.detector,
        "Since": use.since,
        "Version": use.version,
        "VersionSince": use.version_since,
        "Uses": use.uses,
        "Timeouts": use.timeouts,
        "Failures": use.failures,
        "Disagreements": use.disagreements,
        "Calls": use.latencies.count,
        "Latencies": msgspec.json.encode(use.latencies.bins).decode(),
        "TotalSeconds": use.latencies.total,
        "LongestSeconds": use.latencies.longest,
    }
