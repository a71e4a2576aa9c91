"""Tables of machines and the risks of their components."""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.connection.types import ExactFloat, LongText, WindowEnd
from sensorwatch.store.tables.base import metadata

__all__ = [
    "machine_risks",
    "machines",
]

machines = sa.Table(
    "Machines",
    metadata,
    sa.Column("MachineId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Model", sa.Unicode(128), nullable=False),
    sa.Column("Age", ExactFloat(), nullable=False),
)


machine_risks = sa.Table(
    "MachineRisks",
    metadata,
    sa.Column("MachineId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("TS", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("Component", sa.String(16), primary_key=True),
    sa.Column("Risk", ExactFloat(), nullable=False),
    sa.Column("Threshold", ExactFloat()),
    sa.Column("Warns", sa.Boolean, nullable=False),
    sa.Column("Reasons", LongText(), nullable=False),
    sa.Column("ModelVersion", sa.String(100), nullable=False),
    sqlite_with_rowid=False,
)
