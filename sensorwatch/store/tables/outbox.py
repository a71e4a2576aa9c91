"""Tables of notifications and their deliveries."""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.connection.types import LongText, UtcTime, WindowEnd
from sensorwatch.store.tables.base import metadata, partial_index

__all__ = [
    "deliveries",
    "held_notifications",
    "notification_sinks",
    "notifications",
]

notifications = sa.Table(
    "Notifications",
    metadata,
    sa.Column("NotificationKey", sa.String(200), primary_key=True),
    sa.Column("Event", sa.String(16), nullable=False),
    sa.Column("TS", WindowEnd, nullable=False),
    sa.Column("Alert", LongText(), nullable=False),
    sa.Column("DeliveredAt", UtcTime),
    sa.Column("Incident", LongText()),
    sa.Column("HandedOutAt", UtcTime),
    partial_index("IX_Notifications_Pending", "TS", where="DeliveredAt IS NULL"),
)


notification_sinks = sa.Table(
    "NotificationSinks",
    metadata,
    sa.Column("Sink", sa.String(64), primary_key=True),
    sa.Column("AddedAt", UtcTime, nullable=False),
    sa.Column("Failures", sa.Integer, nullable=False),
    sa.Column("FailingSince", UtcTime),
    sa.Column("RetryAt", UtcTime),
    sa.Column("LastError", sa.Unicode(1000), nullable=False),
    sa.Column("LastDeliveryAt", UtcTime),
)


deliveries = sa.Table(
    "Deliveries",
    metadata,
    sa.Column(
        "Sink",
        sa.String(64),
        sa.ForeignKey("NotificationSinks.Sink", name="FK_Deliveries_NotificationSinks"),
        primary_key=True,
    ),
    sa.Column(
        "NotificationKey",
        sa.String(200),
        sa.ForeignKey("Notifications.NotificationKey", name="FK_Deliveries_Notifications"),
        primary_key=True,
    ),
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
    partial_index("IX_Deliveries_Waiting", "Sink", "Position", where="SettledAt IS NULL"),
    partial_index("IX_Deliveries_Subject", "Sink", "Subject", "Position", where="SettledAt IS NULL"),
    sa.Index("IX_Deliveries_Notification", "NotificationKey"),
)


held_notifications = sa.Table(
    "HeldNotifications",
    metadata,
    sa.Column("NotificationKey", sa.String(200), primary_key=True),
    sa.Column("AlertId", sa.String(100), nullable=False),
    sa.Column("Event", sa.String(16), nullable=False),
    sa.Column("TS", WindowEnd, nullable=False),
    sa.Column("Alert", LongText(), nullable=False),
    sa.Column("Incident", LongText()),
    sa.Column("UntilTime", UtcTime, nullable=False),
    sa.Index("IX_HeldNotifications_UntilTime", "UntilTime"),
)
