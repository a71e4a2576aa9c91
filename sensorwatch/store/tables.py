"""The tables as the newest migration leaves them; a test holds the two together.

Names of devices and tags have up to 64 characters, which are up to 128 UTF-16 units; they are compared exactly: a
binary collation keeps upper and lower case apart, and the lengths beside them keep names apart that differ in trailing
blanks, which SQL Server pads before it compares.

``SensorWindows`` has no foreign key to ``Sensors``: it would cost a look-up for every window written, and ids only ever
come from ``Sensors``.
"""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.types import ExactFloat, LongText, UtcTime, WindowEnd

__all__ = [
    "REVISION",
    "alert_history",
    "alert_states",
    "alerts",
    "anomalies",
    "flat_progress",
    "flat_runs",
    "held_notifications",
    "incidents",
    "ingest_partitions",
    "machine_risks",
    "machines",
    "metadata",
    "model_uses",
    "notification_sinks",
    "notifications",
    "published_files",
    "refused_versions",
    "rescore_windows",
    "runs",
    "sensor_rhythms",
    "sensor_windows",
    "sensors",
    "served_windows",
    "serving_partitions",
    "shard_scoring",
    "silences",
    "store_locks",
    "store_settings",
    "tasks",
    "tolerances",
]

REVISION = "0008"
"""The migration that these tables belong to."""

metadata = sa.MetaData()


def _name(length: int) -> sa.types.TypeEngine[str]:
    return sa.Unicode(length).with_variant(sa.Unicode(length, collation="Latin1_General_100_BIN2"), "mssql")


store_settings = sa.Table(
    "StoreSettings",
    metadata,
    sa.Column("Name", sa.String(64), primary_key=True),
    sa.Column("Value", sa.String(200), nullable=False),
)

store_locks = sa.Table(
    "StoreLocks",
    metadata,
    sa.Column("Name", sa.String(64), primary_key=True),
    sa.Column("Taken", sa.BigInteger, nullable=False),
)

sensors = sa.Table(
    "Sensors",
    metadata,
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Shard", sa.Integer, nullable=False),
    sa.Column("Device", _name(128), nullable=False),
    sa.Column("Tag", _name(128), nullable=False),
    sa.Column("DeviceLength", sa.Integer, nullable=False),
    sa.Column("TagLength", sa.Integer, nullable=False),
    sa.Column("FirstSeen", UtcTime, nullable=False),
    sa.Column("LastWindow", WindowEnd),
    sa.Column("State", sa.String(16), nullable=False, server_default="no-data"),
    sa.Column("Reason", sa.Unicode(1000), nullable=False, server_default=""),
    sa.Column("TrainedUntil", WindowEnd),
    sa.Column("ModelVersion", sa.String(100), nullable=False, server_default=""),
    sa.Column("TrainFrom", WindowEnd),
    sa.UniqueConstraint("Device", "Tag", "DeviceLength", "TagLength", name="UQ_Sensors_Name"),
    sa.Index("IX_Sensors_Tag", "Tag"),
)

sensor_windows = sa.Table(
    "SensorWindows",
    metadata,
    sa.Column("Shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("TS", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Readings", sa.Integer, nullable=False),
    sa.Column("Total", ExactFloat(), nullable=False),
    sa.Column("Minimum", ExactFloat(), nullable=False),
    sa.Column("Maximum", ExactFloat(), nullable=False),
    sa.Column("SumOfSquares", ExactFloat(), nullable=False),
    sqlite_with_rowid=False,
)

ingest_partitions = sa.Table(
    "IngestPartitions",
    metadata,
    sa.Column("Hub", sa.String(256), primary_key=True),
    sa.Column("ConsumerGroup", sa.String(64), primary_key=True),
    sa.Column("PartitionId", sa.String(32), primary_key=True),
    sa.Column("SequenceNumber", sa.BigInteger, nullable=False),
    sa.Column("EnqueuedTime", UtcTime, nullable=False),
    sa.Column("Received", sa.BigInteger, nullable=False),
    sa.Column("Accepted", sa.BigInteger, nullable=False),
    sa.Column("Late", sa.BigInteger, nullable=False),
    sa.Column("Duplicate", sa.BigInteger, nullable=False),
    sa.Column("Invalid", sa.BigInteger, nullable=False),
    sa.CheckConstraint(sa.text("Received = Accepted + Late + Duplicate + Invalid"), name="CK_IngestPartitions_Balance"),
)

rescore_windows = sa.Table(
    "RescoreWindows",
    metadata,
    sa.Column("Shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("TS", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Readings", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

shard_scoring = sa.Table(
    "ShardScoring",
    metadata,
    sa.Column("Shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("PlannedUntil", WindowEnd),
    sa.Column("ScoredUntil", WindowEnd),
)

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
    sa.Index(
        "IX_Runs_Open", "CreatedAt", mssql_where=sa.text("EndedAt IS NULL"), sqlite_where=sa.text("EndedAt IS NULL")
    ),
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

anomalies = sa.Table(
    "Anomalies",
    metadata,
    sa.Column(
        "SensorId",
        sa.Integer,
        sa.ForeignKey("Sensors.SensorId", name="FK_Anomalies_Sensors"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("TS", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("Value", ExactFloat(), nullable=False),
    sa.Column("Score", ExactFloat(), nullable=False),
    sa.Column("Severity", sa.String(32), nullable=False),
    sa.Column("ExpectedLow", ExactFloat()),
    sa.Column("ExpectedHigh", ExactFloat()),
    sa.Column("ModelVersion", sa.String(100), nullable=False),
    sa.Column("TrainingStart", WindowEnd),
    sa.Column("TrainingEnd", WindowEnd),
    sa.Column("Suppressed", sa.Unicode(200), nullable=False, server_default=""),
    sa.Index("IX_Anomalies_TS", "TS"),
    sa.Index("IX_Anomalies_Severity", "Severity", "TS"),
    sa.Index(
        "IX_Anomalies_Suppressed",
        "TS",
        mssql_where=sa.text("Suppressed <> ''"),
        sqlite_where=sa.text("Suppressed <> ''"),
    ),
    sqlite_with_rowid=False,
)

alerts = sa.Table(
    "Alerts",
    metadata,
    sa.Column("AlertId", sa.String(100), primary_key=True),
    sa.Column("SensorId", sa.Integer, sa.ForeignKey("Sensors.SensorId", name="FK_Alerts_Sensors"), nullable=False),
    sa.Column("OpenedEnd", WindowEnd, nullable=False),
    sa.Column("LastAnomalyEnd", WindowEnd, nullable=False),
    sa.Column("ClearedEnd", WindowEnd),
    sa.Column("Anomalies", sa.Integer, nullable=False),
    sa.Column("PeakScore", ExactFloat(), nullable=False),
    sa.Column("Severity", sa.String(32), nullable=False),
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
    sa.Index("IX_Alerts_OpenedEnd", "OpenedEnd", "AlertId"),
    sa.Index("IX_Alerts_Severity", "Severity", "OpenedEnd", "AlertId"),
    sa.Index("IX_Alerts_Kind", "Kind", "OpenedEnd", "AlertId"),
    sa.Index(
        "IX_Alerts_Open",
        "OpenedEnd",
        "AlertId",
        mssql_where=sa.text("ClearedEnd IS NULL"),
        sqlite_where=sa.text("ClearedEnd IS NULL"),
    ),
    sa.Index(
        "IX_Alerts_OpenGroups",
        "GroupName",
        mssql_where=sa.text("ClearedEnd IS NULL"),
        sqlite_where=sa.text("ClearedEnd IS NULL"),
    ),
    sa.Index(
        "IX_Alerts_OpenKinds",
        "Kind",
        mssql_where=sa.text("ClearedEnd IS NULL"),
        sqlite_where=sa.text("ClearedEnd IS NULL"),
    ),
    sa.Index("IX_Alerts_Incident", "IncidentId"),
    sa.Index("IX_Alerts_Sensor", "SensorId", "OpenedEnd"),
)

alert_history = sa.Table(
    "AlertHistory",
    metadata,
    sa.Column(
        "AlertId", sa.String(100), sa.ForeignKey("Alerts.AlertId", name="FK_AlertHistory_Alerts"), primary_key=True
    ),
    sa.Column("Number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("At", UtcTime, nullable=False),
    sa.Column("Actor", sa.Unicode(200), nullable=False),
    sa.Column("Action", sa.String(32), nullable=False),
    sa.Column("Detail", LongText(), nullable=False),
)

tolerances = sa.Table(
    "Tolerances",
    metadata,
    sa.Column(
        "AlertId", sa.String(100), sa.ForeignKey("Alerts.AlertId", name="FK_Tolerances_Alerts"), primary_key=True
    ),
    sa.Column("SensorId", sa.Integer, nullable=False),
    sa.Column("Verdict", sa.String(16), nullable=False),
    sa.Column("Direction", sa.String(8), nullable=False),
    sa.Column("ValueLimit", ExactFloat()),
    sa.Column("ScoreLimit", ExactFloat(), nullable=False),
    sa.Column("ModelVersion", sa.String(100), nullable=False),
    sa.Column("FromEnd", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("UntilEnd", WindowEnd),
    sa.Index("IX_Tolerances_Sensor", "SensorId"),
)

silences = sa.Table(
    "Silences",
    metadata,
    sa.Column("SilenceId", sa.String(120), primary_key=True),
    sa.Column("DevicePattern", sa.Unicode(400), nullable=False),
    sa.Column("TagPattern", sa.Unicode(400), nullable=False),
    sa.Column("UntilTime", UtcTime, nullable=False),
    sa.Column("MadeBy", sa.Unicode(200), nullable=False),
    sa.Column("MadeAt", UtcTime, nullable=False),
    sa.Column("Why", sa.Unicode(1000), nullable=False),
    sa.Column("EndedBy", sa.Unicode(200)),
    sa.Column("EndedAt", UtcTime),
    sa.Index("IX_Silences_UntilTime", "UntilTime"),
)

incidents = sa.Table(
    "Incidents",
    metadata,
    sa.Column("IncidentId", sa.String(120), primary_key=True),
    sa.Column("GroupName", sa.Unicode(128), nullable=False),
    sa.Column("FirstEnd", WindowEnd, nullable=False),
    sa.Column("LastEnd", WindowEnd, nullable=False),
    sa.Column("ClosedEnd", WindowEnd),
    sa.Column("Alerts", sa.Integer, nullable=False),
    sa.Column("PeakScore", ExactFloat(), nullable=False),
    sa.Column("Severity", sa.String(32), nullable=False),
    sa.Index("IX_Incidents_FirstEnd", "FirstEnd", "IncidentId"),
    sa.Index(
        "IX_Incidents_OpenGroups",
        "GroupName",
        mssql_where=sa.text("ClosedEnd IS NULL"),
        sqlite_where=sa.text("ClosedEnd IS NULL"),
    ),
)

alert_states = sa.Table(
    "AlertStates",
    metadata,
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("LastEnd", WindowEnd, nullable=False),
    sa.Column("RecentScores", LongText(), nullable=False),
    sa.Column("AlertId", sa.String(100), sa.ForeignKey("Alerts.AlertId", name="FK_AlertStates_Alerts")),
)

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
    sa.Index(
        "IX_Notifications_Pending",
        "TS",
        mssql_where=sa.text("DeliveredAt IS NULL"),
        sqlite_where=sa.text("DeliveredAt IS NULL"),
    ),
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
    sa.Index(
        "IX_Deliveries_Waiting",
        "Sink",
        "Position",
        mssql_where=sa.text("SettledAt IS NULL"),
        sqlite_where=sa.text("SettledAt IS NULL"),
    ),
    sa.Index(
        "IX_Deliveries_Subject",
        "Sink",
        "Subject",
        "Position",
        mssql_where=sa.text("SettledAt IS NULL"),
        sqlite_where=sa.text("SettledAt IS NULL"),
    ),
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

published_files = sa.Table(
    "PublishedFiles",
    metadata,
    sa.Column("Name", sa.Unicode(400), primary_key=True),
    sa.Column("PublishedAt", UtcTime, nullable=False),
)

sensor_rhythms = sa.Table(
    "SensorRhythms",
    metadata,
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("IntervalSeconds", sa.Integer, nullable=False),
    sa.Column("FlatSeconds", sa.Integer),
)

flat_runs = sa.Table(
    "FlatRuns",
    metadata,
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Value", ExactFloat(), nullable=False),
    sa.Column("Since", WindowEnd, nullable=False),
    sa.Column("AlertId", sa.String(100)),
)

flat_progress = sa.Table(
    "FlatProgress",
    metadata,
    sa.Column("Shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Until", WindowEnd, nullable=False),
)

label_spans = sa.Table(
    "LabelSpans",
    metadata,
    sa.Column(
        "SensorId",
        sa.Integer,
        sa.ForeignKey("Sensors.SensorId", name="FK_LabelSpans_Sensors"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("FirstEnd", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("LastEnd", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("Anomalous", sa.Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

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
