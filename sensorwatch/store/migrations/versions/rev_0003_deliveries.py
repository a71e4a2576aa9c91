"""Deliveries of each notification to each sink, and how the sinks are doing."""

import sqlalchemy as sa
from alembic import op

from sensorwatch.store.connection.types import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the outbox; notifications that were not delivered before are queued again."""
    op.add_column("Notifications", sa.Column("HandedOutAt", UtcTime))
    op.create_table(
        "NotificationSinks",
        sa.Column("Sink", sa.String(64), nullable=False),
        sa.Column("AddedAt", UtcTime, nullable=False),
        sa.Column("Failures", sa.Integer, nullable=False),
        sa.Column("FailingSince", UtcTime),
        sa.Column("RetryAt", UtcTime),
        sa.Column("LastError", sa.Unicode(1000), nullable=False),
        sa.Column("LastDeliveryAt", UtcTime),
        sa.PrimaryKeyConstraint("Sink", name="PK_NotificationSinks"),
    )
    op.create_table(
        "Deliveries",
        sa.Column("Sink", sa.String(64), nullable=False),
        sa.Column("NotificationKey", sa.String(200), nullable=False),
        sa.Column("Subject", sa.String(120), nullable=False),
        sa.Column("Position", sa.BigInteger, nullable=False),
        sa.Column("HandedOutAt", UtcTime, nullable=False),
        sa.Column("Attempts", sa.Integer, nullable=False),
        sa.Column("NextAttempt", UtcTime, nullable=False),
        sa.Column("Lease", sa.String(32)),
        sa.Column("LeasedUntil", UtcTime),
        sa.Column("LastError", sa.Unicode(1000), nullable=False),
        sa.Column("DeliveredAt", UtcTime),
        sa.Column("SettledAt", UtcTime),
        sa.PrimaryKeyConstraint("Sink", "NotificationKey", name="PK_Deliveries"),
        sa.ForeignKeyConstraint(["Sink"], ["NotificationSinks.Sink"], name="FK_Deliveries_NotificationSinks"),
        sa.ForeignKeyConstraint(
            ["NotificationKey"], ["Notifications.NotificationKey"], name="FK_Deliveries_Notifications"
        ),
    )
    op.create_index(
        "IX_Deliveries_Waiting",
        "Deliveries",
        ["Sink", "Position"],
        mssql_where=sa.text("SettledAt IS NULL"),
        sqlite_where=sa.text("SettledAt IS NULL"),
    )
    op.create_index(
        "IX_Deliveries_Subject",
        "Deliveries",
        ["Sink", "Subject", "Position"],
        mssql_where=sa.text("SettledAt IS NULL"),
        sqlite_where=sa.text("SettledAt IS NULL"),
    )
    op.create_index("IX_Deliveries_Notification", "Deliveries", ["NotificationKey"])
    op.execute("INSERT INTO StoreLocks (Name, Taken) VALUES ('outbox', 0)")
