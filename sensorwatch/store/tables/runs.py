"""Tables of runs, tasks and published prediction files."""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.connection.types import ExactFloat, LongText, UtcTime
from sensorwatch.store.tables.base import metadata, partial_index

__all__ = [
    "published_files",
    "runs",
    "tasks",
]

runs = sa.Table(
    "Runs",
    metadata,
    sa.Column("RunId", sa.String(64), primary_key=True),
    sa.Column("Kind", sa.String(16), nullable=False),
    sa.Column("WindowEnd", UtcTime, nullable=False),
    sa.Column("CreatedAt", UtcTime, nullable=False),
    sa.Column("Submitted", sa.Boolean, nullable=False),
    sa.Column("EndedAt", UtcTime),
    sa.Index("IX_Runs_CreatedAt", "CreatedAt", "RunId"),
    sa.Index("IX_Runs_Kind", "Kind", "CreatedAt", "RunId"),
    partial_index("IX_Runs_Open", "CreatedAt", where="EndedAt IS NULL"),
)


tasks = sa.Table(
    "Tasks",
    metadata,
    sa.Column("RunId", sa.String(64), sa.ForeignKey("Runs.RunId", name="FK_Tasks_Runs"), primary_key=True),
    sa.Column("TaskId", sa.String(64), primary_key=True),
    sa.Column("Kind", sa.String(16), nullable=False),
    sa.Column("Shard", sa.Integer, nullable=False),
    sa.Column("StartTime", UtcTime),
    sa.Column("EndTime", UtcTime, nullable=False),
    sa.Column("State", sa.String(16), nullable=False),
    sa.Column("ExitCode", sa.Integer),
    sa.Column("Retries", sa.Integer, nullable=False),
    sa.Column("Seconds", ExactFloat()),
    sa.Column("Detail", LongText(), nullable=False),
)


published_files = sa.Table(
    "PublishedFiles",
    metadata,
    sa.Column("Name", sa.Unicode(400), primary_key=True),
    sa.Column("PublishedAt", UtcTime, nullable=False),
)
