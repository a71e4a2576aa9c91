"""Reporting profiles of sensors, and flat sensors."""

import sqlalchemy as sa
from alembic import op

from sensorwatch.store.connection.types import ExactFloat, WindowEnd

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and an index to find the open alerts of a kind."""
    op.create_table(
        "SensorRhythms",
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("IntervalSeconds", sa.Integer, nullable=False),
        sa.Column("FlatSeconds", sa.Integer),
        sa.PrimaryKeyConstraint("SensorId", name="PK_SensorRhythms"),
    )
    op.create_table(
        "FlatRuns",
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("Value", ExactFloat(), nullable=False),
        sa.Column("Since", WindowEnd, nullable=False),
        sa.Column("AlertId", sa.String(100)),
        sa.PrimaryKeyConstraint("SensorId", name="PK_FlatRuns"),
    )
    op.create_table(
        "FlatProgress",
        sa.Column("Shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("Until", WindowEnd, nullable=False),
        sa.PrimaryKeyConstraint("Shard", name="PK_FlatProgress"),
    )
    op.create_index(
        "IX_Alerts_OpenKinds",
        "Alerts",
        ["Kind"],
        mssql_where=sa.text("ClearedEnd IS NULL"),
        sqlite_where=sa.text("ClearedEnd IS NULL"),
    )
