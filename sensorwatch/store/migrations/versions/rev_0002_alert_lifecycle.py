"""Actions of people on alerts, details of alerts, incidents, silences and feedback."""

import sqlalchemy as sa
from alembic import op

from sensorwatch.store.connection.types import ExactFloat, LongText, UtcTime, WindowEnd

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the tables of anomalies, alerts, notifications and sensors, and create those that are new."""
    _widen()
    _create_silences()
    _create_incidents()
    op.create_table(
        "AlertHistory",
        sa.Column("AlertId", sa.String(100), nullable=False),
        sa.Column("Number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("At", UtcTime, nullable=False),
        sa.Column("Actor", sa.Unicode(200), nullable=False),
        sa.Column("Action", sa.String(32), nullable=False),
        sa.Column("Detail", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("AlertId", "Number", name="PK_AlertHistory"),
        sa.ForeignKeyConstraint(["AlertId"], ["Alerts.AlertId"], name="FK_AlertHistory_Alerts"),
    )
    op.create_table(
        "Tolerances",
        sa.Column("AlertId", sa.String(100), nullable=False),
        sa.Column("SensorId", sa.Integer, nullable=False),
        sa.Column("Verdict", sa.String(16), nullable=False),
        sa.Column("Direction", sa.String(8), nullable=False),
        sa.Column("ValueLimit", ExactFloat()),
        sa.Column("ScoreLimit", ExactFloat(), nullable=False),
        sa.Column("ModelVersion", sa.String(100), nullable=False),
        sa.Column("FromEnd", WindowEnd, nullable=False),
        sa.Column("UntilEnd", WindowEnd),
        sa.PrimaryKeyConstraint("AlertId", "FromEnd", name="PK_Tolerances"),
        sa.ForeignKeyConstraint(["AlertId"], ["Alerts.AlertId"], name="FK_Tolerances_Alerts"),
    )
    op.create_index("IX_Tolerances_Sensor", "Tolerances", ["SensorId"])


def _widen() -> None:
    for column in (
        sa.Column("Kind", sa.String(16), nullable=False, server_default="anomaly"),
        sa.Column("PeakValue", ExactFloat()),
        sa.Column("ExpectedLow", ExactFloat()),
        sa.Column("ExpectedHigh", ExactFloat()),
        sa.Column("ModelVersion", sa.String(100), nullable=False, server_default=""),
        sa.Column("TrainingStart", WindowEnd),
        sa.Column("TrainingEnd", WindowEnd),
        sa.Column("GroupName", sa.Unicode(128)),
        sa.Column("IncidentId", sa.String(120)),
        sa.Column("AcknowledgedBy", sa.Unicode(200)),
        sa.Column("AcknowledgedAt", UtcTime),
        sa.Column("SilenceId", sa.String(120)),
        sa.Column("SilencedUntil", UtcTime),
        sa.Column("SilencedBy", sa.Unicode(200)),
        sa.Column("SilencedWhy", sa.Unicode(1000)),
        sa.Column("ResolvedBy", sa.Unicode(200)),
        sa.Column("Feedback", sa.String(16)),
        sa.Column("FeedbackBy", sa.Unicode(200)),
        sa.Column("FeedbackAt", UtcTime),
    ):
        op.add_column("Alerts", column)
    op.create_index(
        "IX_Alerts_OpenGroups",
        "Alerts",
        ["GroupName"],
        mssql_where=sa.text("ClearedEnd IS NULL"),
        sqlite_where=sa.text("ClearedEnd IS NULL"),
    )
    op.create_index("IX_Alerts_Incident", "Alerts", ["IncidentId"])
    op.create_index("IX_Alerts_Sensor", "Alerts", ["SensorId", "OpenedEnd"])
    for column in (
        sa.Column("TrainingStart", WindowEnd),
        sa.Column("TrainingEnd", WindowEnd),
        sa.Column("Suppressed", sa.Unicode(200), nullable=False, server_default=""),
    ):
        op.add_column("Anomalies", column)
    op.add_column("Notifications", sa.Column("Incident", LongText()))
    op.add_column("Sensors", sa.Column("TrainFrom", WindowEnd))


def _create_silences() -> None:
    op.create_table(
        "Silences",
        sa.Column("SilenceId", sa.String(120), nullable=False),
        sa.Column("DevicePattern", sa.Unicode(400), nullable=False),
        sa.Column("TagPattern", sa.Unicode(400), nullable=False),
        sa.Column("UntilTime", UtcTime, nullable=False),
        sa.Column("MadeBy", sa.Unicode(200), nullable=False),
        sa.Column("MadeAt", UtcTime, nullable=False),
        sa.Column("Why", sa.Unicode(1000), nullable=False),
        sa.Column("EndedBy", sa.Unicode(200)),
        sa.Column("EndedAt", UtcTime),
        sa.PrimaryKeyConstraint("SilenceId", name="PK_Silences"),
    )
    op.create_index("IX_Silences_UntilTime", "Silences", ["UntilTime"])
    op.create_table(
        "HeldNotifications",
        sa.Column("NotificationKey", sa.String(200), nullable=False),
        sa.Column("AlertId", sa.String(100), nullable=False),
        sa.Column("Event", sa.String(16), nullable=False),
        sa.Column("TS", WindowEnd, nullable=False),
        sa.Column("Alert", LongText(), nullable=False),
        sa.Column("Incident", LongText()),
        sa.Column("UntilTime", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("NotificationKey", name="PK_HeldNotifications"),
    )
    op.create_index("IX_HeldNotifications_UntilTime", "HeldNotifications", ["UntilTime"])


def _create_incidents() -> None:
    op.create_table(
        "Incidents",
        sa.Column("IncidentId", sa.String(120), nullable=False),
        sa.Column("GroupName", sa.Unicode(128), nullable=False),
        sa.Column("FirstEnd", WindowEnd, nullable=False),
        sa.Column("LastEnd", WindowEnd, nullable=False),
        sa.Column("ClosedEnd", WindowEnd),
        sa.Column("Alerts", sa.Integer, nullable=False),
        sa.Column("PeakScore", ExactFloat(), nullable=False),
        sa.Column("Severity", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("IncidentId", name="PK_Incidents"),
    )
    op.create_index("IX_Incidents_FirstEnd", "Incidents", ["FirstEnd"])
    op.create_index(
        "IX_Incidents_OpenGroups",
        "Incidents",
        ["GroupName"],
        mssql_where=sa.text("ClosedEnd IS NULL"),
        sqlite_where=sa.text("ClosedEnd IS NULL"),
    )
