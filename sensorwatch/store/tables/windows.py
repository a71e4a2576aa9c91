"""Tables of windows, and of the progress of ingestion and scoring."""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.connection.types import ExactFloat, UtcTime, WindowEnd
from sensorwatch.store.tables.base import metadata

__all__ = [
    "ingest_partitions",
    "rescore_windows",
    "sensor_windows",
    "shard_scoring",
]

sensor_windows = sa.Table(
    "SensorWindows",
    metadata,
    sa.Column("Shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("TS", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Readings", sa.Integer, nullable=False),
    sa.Column("Total", ExactFloat(), nullable=False),
    sa.Column("Minimum", ExactFloat(), nullable=False),
    sa.Column("Maximum", ExactFloat(), nullable=False),
    sa.Column("SumOfSquares", ExactFloat(), nullable=False),
    sqlite_with_rowid=False,
)


ingest_partitions = sa.Table(
    "IngestPartitions",
    metadata,
    sa.Column("Hub", sa.String(256), primary_key=True),
    sa.Column("ConsumerGroup", sa.String(64), primary_key=True),
    sa.Column("PartitionId", sa.String(32), primary_key=True),
    sa.Column("SequenceNumber", sa.BigInteger, nullable=False),
    sa.Column("EnqueuedTime", UtcTime, nullable=False),
    sa.Column("Received", sa.BigInteger, nullable=False),
    sa.Column("Accepted", sa.BigInteger, nullable=False),
    sa.Column("Late", sa.BigInteger, nullable=False),
    sa.Column("Duplicate", sa.BigInteger, nullable=False),
    sa.Column("Invalid", sa.BigInteger, nullable=False),
    sa.CheckConstraint(sa.text("Received = Accepted + Late + Duplicate + Invalid"), name="CK_IngestPartitions_Balance"),
)


rescore_windows = sa.Table(
    "RescoreWindows",
    metadata,
    sa.Column("Shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("TS", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Readings", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)


shard_scoring = sa.Table(
    "ShardScoring",
    metadata,
    sa.Column("Shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("PlannedUntil", WindowEnd),
    sa.Column("ScoredUntil", WindowEnd),
)
