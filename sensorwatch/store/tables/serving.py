"""Tables of real-time scoring."""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.connection.types import ExactFloat, LongText, UtcTime, WindowEnd
from sensorwatch.store.tables.base import metadata

__all__ = [
    "model_uses",
    "refused_versions",
    "served_windows",
    "serving_partitions",
]

served_windows = sa.Table(
    "ServedWindows",
    metadata,
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("TS", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("Readings", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Value", ExactFloat(), nullable=False),
    sa.Column("Score", ExactFloat(), nullable=False),
    sa.Column("Winner", sa.String(32), nullable=False),
    sa.Column("Decider", sa.String(16), nullable=False),
    sa.Column("ModelVersion", sa.String(100), nullable=False),
    sa.Column("Answers", LongText(), nullable=False),
    sa.Column("ScoredAt", UtcTime, nullable=False),
    sa.Index("IX_ServedWindows_TS", "TS"),
    sqlite_with_rowid=False,
)


serving_partitions = sa.Table(
    "ServingPartitions",
    metadata,
    sa.Column("Hub", sa.String(256), primary_key=True),
    sa.Column("ConsumerGroup", sa.String(64), primary_key=True),
    sa.Column("PartitionId", sa.String(32), primary_key=True),
    sa.Column("Received", sa.BigInteger, nullable=False),
    sa.Column("Scored", sa.BigInteger, nullable=False),
    sa.Column("NotInTime", sa.BigInteger, nullable=False),
    sa.Column("WithoutModel", sa.BigInteger, nullable=False),
    sa.Column("Late", sa.BigInteger, nullable=False),
    sa.Column("Duplicate", sa.BigInteger, nullable=False),
    sa.Column("Invalid", sa.BigInteger, nullable=False),
    sa.Column("UpdatedAt", UtcTime, nullable=False),
    sa.CheckConstraint(
        sa.text("Received = Scored + NotInTime + WithoutModel + Late + Duplicate + Invalid"),
        name="CK_ServingPartitions_Balance",
    ),
)


model_uses = sa.Table(
    "ModelUses",
    metadata,
    sa.Column("Model", sa.String(32), primary_key=True),
    sa.Column("Detector", sa.String(64), primary_key=True),
    sa.Column("Since", UtcTime, nullable=False),
    sa.Column("Version", sa.String(100), nullable=False),
    sa.Column("VersionSince", UtcTime, nullable=False),
    sa.Column("Uses", sa.BigInteger, nullable=False),
    sa.Column("Timeouts", sa.BigInteger, nullable=False),
    sa.Column("Failures", sa.BigInteger, nullable=False),
    sa.Column("Disagreements", sa.BigInteger, nullable=False),
    sa.Column("Calls", sa.BigInteger, nullable=False),
    sa.Column("Latencies", LongText(), nullable=False),
    sa.Column("TotalSeconds", ExactFloat(), nullable=False),
    sa.Column("LongestSeconds", ExactFloat(), nullable=False),
)


refused_versions = sa.Table(
    "RefusedVersions",
    metadata,
    sa.Column("Model", sa.String(32), primary_key=True),
    sa.Column("Shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Version", sa.String(100), nullable=False),
    sa.Column("Reason", sa.Unicode(1000), nullable=False),
    sa.Column("RefusedAt", UtcTime, nullable=False),
)
