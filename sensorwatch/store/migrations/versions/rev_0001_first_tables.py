"""The first tables.

Column types are this project's own where both dialects need the same meaning; everything else is spelled out, so that
this step stays what it was when the tables move on.
"""

import sqlalchemy as sa
from alembic import op

from sensorwatch.store.connection.types import ExactFloat, LongText, UtcTime, WindowEnd

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_VIEW = {
    "mssql": """\
CREATE VIEW SensorValues AS
SELECT w.TS, s.Device, s.Tag, w.Total / w.Readings AS Value
FROM SensorWindows AS w
JOIN Sensors AS s ON s.SensorId = w.SensorId""",
    "sqlite": """\
CREATE VIEW SensorValues AS
SELECT strftime('%Y-%m-%d %H:%M:%S', w.TS, 'unixepoch') AS TS, s.Device, s.Tag,
       CAST(w.Total AS REAL) / w.Readings AS Value
FROM SensorWindows AS w
JOIN Sensors AS s ON s.SensorId = w.SensorId""",
}


def _name() -> sa.types.TypeEngine[str]:
    return sa.Unicode(128).with_variant(sa.Unicode(128, collation="Latin1_General_100_BIN2"), "mssql")


def upgrade() -> None:
    """Create every table, and the view with the original system's schema."""
    op.create_table(
        "StoreSettings",
        sa.Column("Name", sa.String(64), nullable=False),
        sa.Column("Value", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("Name", name="PK_StoreSettings"),
    )
    op.create_table(
        "StoreLocks",
        sa.Column("Name", sa.String(64), nullable=False),
        sa.Column("Taken", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("Name", name="PK_StoreLocks"),
    )
    op.execute("INSERT INTO StoreLocks (Name, Taken) VALUES ('sensors', 0), ('publish', 0)")
    _create_windows()
    _create_runs()
    _create_alerts()
    op.execute(_VIEW[op.get_context().dialect.name])


def _create_windows() -> None:
    op.create_table(
        "Sensors",
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("Shard", sa.Integer, nullable=False),
        sa.Column("Device", _name(), nullable=False),
        sa.Column("Tag", _name(), nullable=False),
        sa.Column("DeviceLength", sa.Integer, nullable=False),
        sa.Column("TagLength", sa.Integer, nullable=False),
        sa.Column("FirstSeen", UtcTime, nullable=False),
        sa.Column("LastWindow", WindowEnd),
        sa.Column("State", sa.String(16), nullable=False, server_default="no-data"),
        sa.Column("Reason", sa.Unicode(1000), nullable=False, server_default=""),
        sa.Column("TrainedUntil", WindowEnd),
        sa.Column("ModelVersion", sa.String(100), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("SensorId", name="PK_Sensors"),
        sa.UniqueConstraint("Device", "Tag", "DeviceLength", "TagLength", name="UQ_Sensors_Name"),
    )
    op.create_table(
        "SensorWindows",
        sa.Column("Shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("TS", WindowEnd, autoincrement=False, nullable=False),
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("Readings", sa.Integer, nullable=False),
        sa.Column("Total", ExactFloat(), nullable=False),
        sa.Column("Minimum", ExactFloat(), nullable=False),
        sa.Column("Maximum", ExactFloat(), nullable=False),
        sa.Column("SumOfSquares", ExactFloat(), nullable=False),
        sa.PrimaryKeyConstraint("Shard", "TS", "SensorId", name="PK_SensorWindows", mssql_clustered=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "IngestPartitions",
        sa.Column("Hub", sa.String(256), nullable=False),
        sa.Column("ConsumerGroup", sa.String(64), nullable=False),
        sa.Column("PartitionId", sa.String(32), nullable=False),
        sa.Column("SequenceNumber", sa.BigInteger, nullable=False),
        sa.Column("EnqueuedTime", UtcTime, nullable=False),
        sa.Column("Received", sa.BigInteger, nullable=False),
        sa.Column("Accepted", sa.BigInteger, nullable=False),
        sa.Column("Late", sa.BigInteger, nullable=False),
        sa.Column("Duplicate", sa.BigInteger, nullable=False),
        sa.Column("Invalid", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("Hub", "ConsumerGroup", "PartitionId", name="PK_IngestPartitions"),
        sa.CheckConstraint(
            sa.text("Received = Accepted + Late + Duplicate + Invalid"), name="CK_IngestPartitions_Balance"
        ),
    )
    op.create_table(
        "RescoreWindows",
        sa.Column("Shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("TS", WindowEnd, autoincrement=False, nullable=False),
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("Readings", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("Shard", "TS", "SensorId", name="PK_RescoreWindows", mssql_clustered=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ShardScoring",
        sa.Column("Shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("PlannedUntil", WindowEnd),
        sa.Column("ScoredUntil", WindowEnd),
        sa.PrimaryKeyConstraint("Shard", name="PK_ShardScoring"),
    )


def _create_runs() -> None:
    op.create_table(
        "Runs",
        sa.Column("RunId", sa.String(64), nullable=False),
        sa.Column("Kind", sa.String(16), nullable=False),
        sa.Column("WindowEnd", UtcTime, nullable=False),
        sa.Column("CreatedAt", UtcTime, nullable=False),
        sa.Column("Submitted", sa.Boolean, nullable=False),
        sa.Column("EndedAt", UtcTime),
        sa.PrimaryKeyConstraint("RunId", name="PK_Runs"),
    )
    op.create_index("IX_Runs_CreatedAt", "Runs", ["CreatedAt"])
    op.create_table(
        "Tasks",
        sa.Column("RunId", sa.String(64), nullable=False),
        sa.Column("TaskId", sa.String(64), nullable=False),
        sa.Column("Kind", sa.String(16), nullable=False),
        sa.Column("Shard", sa.Integer, nullable=False),
        sa.Column("StartTime", UtcTime),
        sa.Column("EndTime", UtcTime, nullable=False),
        sa.Column("State", sa.String(16), nullable=False),
        sa.Column("ExitCode", sa.Integer),
        sa.Column("Retries", sa.Integer, nullable=False),
        sa.Column("Seconds", ExactFloat()),
        sa.Column("Detail", LongText(), nullable=False),
        sa.PrimaryKeyConstraint("RunId", "TaskId", name="PK_Tasks"),
        sa.ForeignKeyConstraint(["RunId"], ["Runs.RunId"], name="FK_Tasks_Runs"),
    )


def _create_alerts() -> None:
    op.create_table(
        "Anomalies",
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("TS", WindowEnd, autoincrement=False, nullable=False),
        sa.Column("Value", ExactFloat(), nullable=False),
        sa.Column("Score", ExactFloat(), nullable=False),
        sa.Column("Severity", sa.String(32), nullable=False),
        sa.Column("ExpectedLow", ExactFloat()),
        sa.Column("ExpectedHigh", ExactFloat()),
        sa.Column("ModelVersion", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("SensorId", "TS", name="PK_Anomalies", mssql_clustered=True),
        sa.ForeignKeyConstraint(["SensorId"], ["Sensors.SensorId"], name="FK_Anomalies_Sensors"),
        sqlite_with_rowid=False,
    )
    op.create_index("IX_Anomalies_TS", "Anomalies", ["TS"])
    op.create_table(
        "Alerts",
        sa.Column("AlertId", sa.String(100), nullable=False),
        sa.Column("SensorId", sa.Integer, nullable=False),
        sa.Column("OpenedEnd", WindowEnd, nullable=False),
        sa.Column("LastAnomalyEnd", WindowEnd, nullable=False),
        sa.Column("ClearedEnd", WindowEnd),
        sa.Column("Anomalies", sa.Integer, nullable=False),
        sa.Column("PeakScore", ExactFloat(), nullable=False),
        sa.Column("Severity", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("AlertId", name="PK_Alerts"),
        sa.ForeignKeyConstraint(["SensorId"], ["Sensors.SensorId"], name="FK_Alerts_Sensors"),
    )
    op.create_index("IX_Alerts_OpenedEnd", "Alerts", ["OpenedEnd"])
    op.create_table(
        "AlertStates",
        sa.Column("SensorId", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("LastEnd", WindowEnd, nullable=False),
        sa.Column("RecentScores", LongText(), nullable=False),
        sa.Column("AlertId", sa.String(100)),
        sa.PrimaryKeyConstraint("SensorId", name="PK_AlertStates"),
        sa.ForeignKeyConstraint(["AlertId"], ["Alerts.AlertId"], name="FK_AlertStates_Alerts"),
    )
    op.create_table(
        "Notifications",
        sa.Column("NotificationKey", sa.String(200), nullable=False),
        sa.Column("Event", sa.String(16), nullable=False),
        sa.Column("TS", WindowEnd, nullable=False),
        sa.Column("Alert", LongText(), nullable=False),
        sa.Column("DeliveredAt", UtcTime),
        sa.PrimaryKeyConstraint("NotificationKey", name="PK_Notifications"),
    )
    op.create_index(
        "IX_Notifications_Pending",
        "Notifications",
        ["TS"],
        mssql_where=sa.text("DeliveredAt IS NULL"),
        sqlite_where=sa.text("DeliveredAt IS NULL"),
    )
    op.create_table(
        "PublishedFiles",
        sa.Column("Name", sa.Unicode(400), nullable=False),
        sa.Column("PublishedAt", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("Name", name="PK_PublishedFiles"),
    )
