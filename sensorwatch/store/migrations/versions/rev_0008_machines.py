"""Machines, and the risks that their components fail."""

import sqlalchemy as sa
from alembic import op

from sensorwatch.store.connection.types import ExactFloat, LongText, WindowEnd

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "Machines",
        sa.Column("MachineId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("Model", sa.Unicode(128), nullable=False),
        sa.Column("Age", ExactFloat(), nullable=False),
        sa.PrimaryKeyConstraint("MachineId", name="PK_Machines"),
    )
    op.create_table(
        "MachineRisks",
        sa.Column("MachineId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("TS", WindowEnd, autoincrement=False, nullable=False),
        sa.Column("Component", sa.String(16), nullable=False),
        sa.Column("Risk", ExactFloat(), nullable=False),
        sa.Column("Threshold", ExactFloat()),
        sa.Column("Warns", sa.Boolean, nullable=False),
        sa.Column("Reasons", LongText(), nullable=False),
        sa.Column("ModelVersion", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("MachineId", "TS", "Component", name="PK_MachineRisks"),
        sqlite_with_rowid=False,
    )
