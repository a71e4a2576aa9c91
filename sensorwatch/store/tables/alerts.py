"""Tables of anomalies, alerts, people's actions, incidents, and states of the alert rules."""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.connection.types import ExactFloat, LongText, UtcTime, WindowEnd
from sensorwatch.store.tables.base import metadata, partial_index

__all__ = [
    "alert_history",
    "alert_states",
    "alerts",
    "anomalies",
    "flat_progress",
    "flat_runs",
    "incidents",
    "silences",
    "tolerances",
]

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
    sa.Column("ExpectedValue", ExactFloat()),
    sa.Column("Explanation", LongText()),
    sa.Index("IX_Anomalies_TS", "TS"),
    sa.Index("IX_Anomalies_Severity", "Severity", "TS"),
    partial_index("IX_Anomalies_Suppressed", "TS", where="Suppressed <> ''"),
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
    # SQLite, which has no lengths, can not alter a column.
    sa.Column(
        "Kind",
        sa.String(16).with_variant(sa.String(32), "mssql"),
        nullable=False,
        server_default="anomaly",
    ),
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
    sa.Column("Explanation", sa.Unicode(400), nullable=False, server_default=""),
    sa.Index("IX_Alerts_OpenedEnd", "OpenedEnd", "AlertId"),
    sa.Index("IX_Alerts_Severity", "Severity", "OpenedEnd", "AlertId"),
    sa.Index("IX_Alerts_Kind", "Kind", "OpenedEnd", "AlertId"),
    partial_index("IX_Alerts_Open", "OpenedEnd", "AlertId", where="ClearedEnd IS NULL"),
    partial_index("IX_Alerts_OpenGroups", "GroupName", where="ClearedEnd IS NULL"),
    partial_index("IX_Alerts_OpenKinds", "Kind", where="ClearedEnd IS NULL"),
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
    partial_index("IX_Incidents_OpenGroups", "GroupName", where="ClosedEnd IS NULL"),
)


alert_states = sa.Table(
    "AlertStates",
    metadata,
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("LastEnd", WindowEnd, nullable=False),
    sa.Column("RecentScores", LongText(), nullable=False),
    sa.Column("AlertId", sa.String(100), sa.ForeignKey("Alerts.AlertId", name="FK_AlertStates_Alerts")),
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
