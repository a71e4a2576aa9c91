"""Windows scored in real time, and figures of the models that score them."""

import sqlalchemy as sa
from alembic import op

from sensorwatch.store.connection.types import ExactFloat, LongText, UtcTime, WindowEnd

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "ServedWindows",
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("TS", WindowEnd, autoincrement=False, nullable=False),
        sa.Column("Readings", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("Value", ExactFloat(), nullable=False),
        sa.Column("Score", ExactFloat(), nullable=False),
        sa.Column("Winner", sa.String(32), nullable=False),
        sa.Column("Decider", sa.String(16), nullable=False),
        sa.Column("ModelVersion", sa.String(100), nullable=False),
        sa.Column("Answers", LongText(), nullable=False),
        sa.Column("ScoredAt", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("SensorId", "TS", "Readings", name="PK_ServedWindows", mssql_clustered=True),
        sqlite_with_rowid=False,
    )
    op.create_index("IX_ServedWindows_TS", "ServedWindows", ["TS"])
    op.create_table(
        "ServingPartitions",
        sa.Column("Hub", sa.String(256), nullable=False),
        sa.Column("ConsumerGroup", sa.String(64), nullable=False),
        sa.Column("PartitionId", sa.String(32), nullable=False),
        sa.Column("Received", sa.BigInteger, nullable=False),
        sa.Column("Scored", sa.BigInteger, nullable=False),
        sa.Column("NotInTime", sa.BigInteger, nullable=False),
        sa.Column("WithoutModel", sa.BigInteger, nullable=False),
        sa.Column("Late", sa.BigInteger, nullable=False),
        sa.Column("Duplicate", sa.BigInteger, nullable=False),
        sa.Column("Invalid", sa.BigInteger, nullable=False),
        sa.Column("UpdatedAt", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("Hub", "ConsumerGroup", "PartitionId", name="PK_ServingPartitions"),
        sa.CheckConstraint(
            sa.text("Received = Scored + NotInTime + WithoutModel + Late + Duplicate + Invalid"),
            name="CK_ServingPartitions_Balance",
        ),
    )
    op.create_table(
        "ModelUses",
        sa.Column("Model", sa.String(32), nullable=False),
        sa.Column("Detector", sa.String(64), nullable=False),
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
        sa.PrimaryKeyConstraint("Model", "Detector", name="PK_ModelUses"),
    )
    op.create_table(
        "RefusedVersions",
        sa.Column("Model", sa.String(32), nullable=False),
        sa.Column("Shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("Version", sa.String(100), nullable=False),
        sa.Column("Reason", sa.Unicode(1000), nullable=False),
        sa.Column("RefusedAt", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("Model", "Shard", name="PK_RefusedVersions"),
    )
    op.execute("INSERT INTO StoreLocks (Name, Taken) VALUES ('serving', 0)")
