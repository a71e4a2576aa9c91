"""Every call of the store, and a recorder of the text that it sends to SQL Server."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.mssql.pyodbc import dialect as pyodbc_dialect

from sensorwatch.alerts.flat_runs import FlatChanges, FlatRun
from sensorwatch.alerts.handling import AlertAction, AlertFilter, Handling, Silence
from sensorwatch.alerts.records import (
    Alert,
    AlertChanges,
    AlertState,
    Anomaly,
    ClaimedNotification,
    Incident,
    IncidentRules,
    Notification,
)
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.machines.records import MachineInfo, MachineRisk, RiskReason
from sensorwatch.realtime.records import ModelAnswer, ModelUse, RefusedVersion, ServedWindow, ServingCounts
from sensorwatch.sensors.labels import LabelSpan
from sensorwatch.sensors.records import ReportingProfile, SensorKey, TrainingOutcome
from sensorwatch.sensors.states import Freshness, SensorQuery
from sensorwatch.sensors.windows import WindowColumns, WindowRange
from sensorwatch.store.alerts.rows import (
    alert_row,
    anomaly_row,
    handling_row,
    incident_row,
    notification_row,
    silence_row,
)
from sensorwatch.store.connection.database import Database
from sensorwatch.store.dialects.mssql import MssqlDialect
from sensorwatch.store.pages.queries import AnomalyQuery, EndKey, RiskKey, RunKey
from sensorwatch.store.sql_store import SqlStore
from sensorwatch.tasks.records import Run, TaskResult, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
HUB = Partition("readings", "$Default", "0")
TASK = TaskSpec("score-1", "shard-0", "score", 0, None, NOW)
ALERT = Alert("0-5", 0, 5, 5, 10, 1, 90.0, "high")
SILENCE = Silence("s", "d*", "*", NOW + timedelta(days=1), "anna", NOW, "é")
SILENCED = Handling(silence_id="alert-0-5", silenced_until=NOW + timedelta(days=1))
OPEN_ALERT = SimpleNamespace(
    **alert_row(replace(ALERT, cleared_end=None)), **handling_row(SILENCED), IncidentId="incident-0-5"
)
HELD = notification_row(Notification("0-5:opened", "opened", ALERT))
INCIDENT = Incident("incident-0-5", "d", 5, 5, None, 1, 90.0, "high")
CLAIMED = ClaimedNotification(Notification("0-5:opened", "opened", ALERT), 0, "lease")
ANOMALY = Anomaly(0, 5, 1.0, 90.0, "high", None, 2.0, "v1")
ONE_WINDOW = WindowColumns(np.array([3]), np.array([5]), np.array([1.0]), np.array([2]))
SERVED = ServedWindow(0, 5, 1, 9.0, 90.0, "own", "any", "v1", {"own": ModelAnswer(90.0, "v1", 0.1)}, NOW)
USE = ModelUse("own", "auto", NOW, "v1", NOW)
RISK = MachineRisk(0, "comp1", 5, 0.5, 0.4, True, (RiskReason("age", "é", 0.5),), "v1")
DIALECT = pyodbc_dialect(paramstyle="qmark")  # type: ignore[no-untyped-call]


class Answer:
    """A result of the rows a test needs, mostly none."""

    cursor = None

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def scalars(self) -> list[Any]:
        return [row[0] for row in self._rows]

    def all(self) -> list[Any]:
        return self._rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def first(self) -> None:
        return None

    def one_or_none(self) -> Any:
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        return self._rows[0]

    def scalar_one_or_none(self) -> None:
        return None

    def scalar_one(self) -> int:
        return 1


@dataclass
class Recorder:
    """Stands where the database and its connection stand, and keeps the text of what it is sent."""

    dialect: MssqlDialect = field(default_factory=MssqlDialect)
    shard_size: int = 10
    incident_rules: IncidentRules = field(default=IncidentRules(sensors=1))
    texts: list[str] = field(default_factory=list)
    parameters: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, list[Any]] = field(default_factory=dict)
    touched: int = 1

    @property
    def engine(self) -> Any:
        return type("Engine", (), {"dialect": DIALECT})

    def clock(self) -> datetime:
        return NOW

    def read(self, work: Callable[[Recorder], object]) -> object:
        return work(self)

    write = read

    def execute(self, statement: sa.Executable, parameters: object = None, execution_options: object = None) -> Answer:
        first = parameters[0] if isinstance(parameters, list) else None
        compiled = cast("sa.ClauseElement", statement).compile(
            dialect=DIALECT, column_keys=list(first) if first else None, compile_kwargs={"render_postcompile": True}
        )
        self.texts.append(str(compiled))
        self.parameters.append(dict(compiled.params))
        return Answer(next((rows for name, rows in self.answers.items() if name in str(compiled)), []), self.touched)


def store_on(recorder: Recorder) -> SqlStore:
    return SqlStore(cast("Database", recorder))


def publish(store: SqlStore) -> None:
    changes = AlertChanges(
        [AlertState(0, 5, (1.0, None), ALERT)], [ALERT], [Notification("0-5:cleared", "cleared", ALERT)]
    )
    store.publish([ANOMALY], [(0, 10)], [0, 1], lambda _: changes)


def commit(store: SqlStore) -> None:
    windows = [Window(12, 10, 1, 1.0, 1.0, 1.0, 1.0), Window(3, 5, 1, 0.1, 0.1, 0.1, 0.01)]
    store.commit_ingest(HUB, OffsetCheckpoint(1, NOW), OffsetCheckpoint(2, NOW), windows, IngestCounts(2, 2, 0, 0, 0))


CALLS: dict[str, Callable[[SqlStore], object]] = {
    "sensor_ids": lambda store: store.sensor_ids([SensorKey("d", "t")]),
    "last_windows": lambda store: store.last_windows([1, 2]),
    "offset_checkpoint": lambda store: store.offset_checkpoint(HUB),
    "commit_ingest": commit,
    "first commit_ingest": lambda store: store.commit_ingest(
        HUB, None, OffsetCheckpoint(2, NOW), [], IngestCounts(0, 0, 0, 0, 0)
    ),
    "ingest_status": lambda store: store.ingest_status(),
    "read_windows": lambda store: store.read_windows(0, NOW, NOW),
    "read_rescore_windows": lambda store: store.read_rescore_windows(0, NOW),
    "window_count": lambda store: store.window_count(),
    "sensors": lambda store: store.sensors(2),
    "find_sensors": lambda store: store.find_sensors(SensorQuery("stale", "d", "t", 5), Freshness(NOW, NOW), limit=7),
    "count_states": lambda store: store.count_states(SensorQuery("ready"), Freshness(NOW, NOW)),
    "record_training": lambda store: store.record_training([TrainingOutcome(0, "ready", "é", NOW, "v1")]),
    "shard_activity": lambda store: store.shard_activity(),
    "last_planned train": lambda store: store.last_planned("train"),
    "last_planned score": lambda store: store.last_planned("score"),
    "task_history": lambda store: store.task_history("train"),
    "begin_run": lambda store: store.begin_run(Run("score-1", "score", NOW, (TASK,)), NOW),
    "mark_submitted": lambda store: store.mark_submitted("score-1"),
    "open_runs": lambda store: store.open_runs(),
    "record_results": lambda store: store.record_results("score-1", [TaskResult("shard-0", True, 0, 0, 1.5, "")]),
    "end_run": lambda store: store.end_run("score-1", NOW),
    "is_scored": lambda store: store.is_scored(TASK),
    "complete_scoring": lambda store: store.complete_scoring(TASK, ONE_WINDOW),
    "runs": lambda store: store.runs("score"),
    "tasks": lambda store: store.tasks("score-1"),
    "publish": publish,
    "anomalies": lambda store: store.anomalies(1),
    "alerts": lambda store: store.alerts(open_only=True),
    "pending_notifications": lambda store: store.pending_notifications(),
    "act silence": lambda store: store.act("0-5", AlertAction("silence", "anna", "é", until=NOW + timedelta(days=1))),
    "act unsilence": lambda store: store.act("0-5", AlertAction("unsilence", "anna")),
    "act resolve": lambda store: store.act("0-5", AlertAction("resolve", "anna")),
    "act feedback": lambda store: store.act("0-5", AlertAction("feedback", "anna", verdict="new-trend")),
    "handled_alerts open": lambda store: store.handled_alerts(
        AlertFilter("open", 0, "anomaly", "high", "i", "expected", 1, 2)
    ),
    "handled_alerts silenced": lambda store: store.handled_alerts(AlertFilter("silenced")),
    "alert_history": lambda store: store.alert_history("0-5"),
    "add_silence": lambda store: store.add_silence(SILENCE),
    "end_silence": lambda store: store.end_silence("s", "anna"),
    "silences": lambda store: store.silences(),
    "release_held": lambda store: store.release_held(),
    "incidents": lambda store: store.incidents(open_only=True),
    "tolerances": lambda store: store.tolerances([1, 2]),
    "labels": lambda store: store.labels(),
    "unpublished": lambda store: store.unpublished(["a"]),
    "mark_published": lambda store: store.mark_published("a"),
    "record_reporting_profiles": lambda store: store.record_reporting_profiles([ReportingProfile(0, 5, None)]),
    "reporting_profiles": lambda store: store.reporting_profiles([0]),
    "sensors_without_data": lambda store: store.sensors_without_data(100, 10.0, 60, 1000),
    "open_no_data_alerts": lambda store: store.open_no_data_alerts(),
    "settle_alerts": lambda store: store.settle_alerts(["0-5"], lambda _: AlertChanges([], [ALERT], [])),
    "watch_flat": lambda store: store.watch_flat(
        [0], lambda _: FlatChanges(5, [FlatRun(0, 1.0, 5, "0-5")], [1], AlertChanges([], [ALERT], []))
    ),
    "anomalies_between": lambda store: store.anomalies_between(NOW, NOW),
    "suppressed anomalies": lambda store: store.anomalies(suppressed=True),
    "hand_out": lambda store: store.hand_out(["ops"], NOW),
    "sinks_with_work": lambda store: store.sinks_with_work(["ops"], NOW),
    "claim": lambda store: store.claim("ops", NOW, limit=5, lease_seconds=60),
    "settle": lambda store: store.settle("ops", CLAIMED, NOW),
    "postpone": lambda store: store.postpone("ops", CLAIMED, "é", NOW, lambda failures: timedelta(seconds=failures)),
    "release": lambda store: store.release("ops", [CLAIMED]),
    "give_up": lambda store: store.give_up(NOW, NOW),
    "sink_status": lambda store: store.sink_status(),
    "find_sensors by search": lambda store: store.find_sensors(SensorQuery(search="é"), Freshness(NOW, NOW)),
    "anomaly_page": lambda store: store.anomaly_page(AnomalyQuery(0, "d", "t", "high", 1, 9, True, (5, 0)), 7),
    "anomaly": lambda store: store.anomaly(0, 5),
    "alert_page": lambda store: store.alert_page(AlertFilter("open", device="d", tag="t"), 7, EndKey(5, "0-5")),
    "incident_page": lambda store: store.incident_page(True, 7, EndKey(5, "i")),
    "incident_summary": lambda store: store.incident_summary("i"),
    "sensor_keys": lambda store: store.sensor_keys([0, 1]),
    "count_states of all": lambda store: store.count_states(SensorQuery(), Freshness(NOW, NOW)),
    "count_states by search": lambda store: store.count_states(SensorQuery(search="é"), Freshness(NOW, NOW)),
    "alert_counts": lambda store: store.alert_counts(),
    "open_alerts": lambda store: store.open_alerts([0, 1]),
    "run_page": lambda store: store.run_page("score", 7, RunKey(NOW, "score-1")),
    "task_page": lambda store: store.task_page("score-1", 7, "shard-0"),
    "active_runs": lambda store: store.active_runs(),
    "device_page": lambda store: store.device_page(7, "d"),
    "sensors_of": lambda store: store.sensors_of(["d"]),
    "shard_page": lambda store: store.shard_page(7),
    "delete_windows": lambda store: store.delete_windows(NOW),
    "trained_until": lambda store: store.trained_until([0.5, 1.0]),
    "failed_sensors": lambda store: store.failed_sensors(),
    "newest_window": lambda store: store.newest_window(),
    "history_range": lambda store: store.history_range(3),
    "sensor_windows": lambda store: store.sensor_windows(3, WindowRange(0, 600), 5),
    "alert": lambda store: store.alert("0-5"),
    "unsubmitted_runs": lambda store: store.unsubmitted_runs(),
    "planned_until": lambda store: store.planned_until([0, 1]),
    "sensors_by_id": lambda store: store.sensors_by_id([0, 1]),
    "publish_served": lambda store: store.publish_served(
        [SERVED], [ANOMALY], [(0, 10)], [0, 1], lambda _: AlertChanges([], [ALERT], [])
    ),
    "served_anomalies": lambda store: store.served_anomalies([0, 1], 5, 10),
    "served_windows": lambda store: store.served_windows(0),
    "unsettled_sensors": lambda store: store.unsettled_sensors([0, 1]),
    "add_serving": lambda store: store.add_serving({HUB: ServingCounts(1, 1)}, [USE], NOW),
    "serving_status": lambda store: store.serving_status(),
    "model_uses": lambda store: store.model_uses(),
    "refuse_version": lambda store: store.refuse_version(RefusedVersion("own", 0, "v1", "é", NOW)),
    "accept_version": lambda store: store.accept_version("own", 0),
    "refused_versions": lambda store: store.refused_versions(),
    "add_labels": lambda store: store.add_labels([LabelSpan(0, 5, 10, True)]),
    "remove_labels": lambda store: store.remove_labels([0, 1]),
    "label_spans": lambda store: store.label_spans(1),
    "shard_labels": lambda store: store.shard_labels(0, NOW, NOW),
    "put_machines": lambda store: store.put_machines([MachineInfo(0, "é", 7.0)]),
    "machines": lambda store: store.machines(1, 9),
    "machines_by_id": lambda store: store.machines_by_id([0, 1]),
    "put_risks": lambda store: store.put_risks([RISK]),
    "newest_risks": lambda store: store.newest_risks(),
    "newest_risks_of": lambda store: store.newest_risks_of([0, 1]),
    "risks": lambda store: store.risks(0, 5, 10),
    "warnings_after": lambda store: store.warnings_after(5, 0, 9),
    "ingestion_progress": lambda store: store.ingestion_progress(NOW),
    "fastest_sensor": lambda store: store.fastest_sensor(5),
    "ingestion_alerts": lambda store: store.ingestion_alerts(),
    "machine_page": lambda store: store.machine_page(7, RiskKey(0.5, 3)),
}

ANSWERS: dict[str, list[Any]] = {
    "SELECT [RescoreWindows].[SensorId]": [(3, 5, 2)],
    "SELECT [RescoreWindows].[TS]": [(5, 0, 2)],
    "min([RescoreWindows].[TS])": [(5, 10)],
    "SELECT [Sensors].[SensorId] \nFROM": [(0,)],
    "SELECT [ShardScoring].[Shard], [ShardScoring].[PlannedUntil] \nFROM": [],
    "[ShardScoring].[PlannedUntil] \nFROM": [(0, 0, 4_000_000_000, 4_000_000_000)],
    "SELECT [SensorWindows].[TS]": [(3_000_000_000, 0, 1)],
    "SELECT [Sensors].[SensorId], [Sensors].[Device], [Sensors].[Tag] \nFROM": [
        SimpleNamespace(SensorId=0, Device="d", Tag="t")
    ],
    "[Notifications].[HandedOutAt] IS NULL": [SimpleNamespace(**HELD)],
    "SELECT [NotificationSinks].[Failures], [NotificationSinks].[RetryAt]": [SimpleNamespace(Failures=0, RetryAt=None)],
    "[Deliveries].[Attempts] \nFROM": [SimpleNamespace(**HELD, Attempts=0)],
    "[Deliveries].[HandedOutAt] <": [SimpleNamespace(Sink="ops", NotificationKey="0-5:opened")],
    "row_number() OVER": [SimpleNamespace(**alert_row(ALERT), IncidentId="incident-0-5", Device="d", Tag="t")],
    "WHERE [Incidents].[IncidentId] = ?": [SimpleNamespace(**incident_row(INCIDENT))],
    "WHERE [Alerts].[AlertId] = ?": [OPEN_ALERT],
    "SELECT [Alerts].[AlertId], [Alerts].[IncidentId]": [OPEN_ALERT],
    "SELECT [Alerts].[AlertId], [Alerts].[SilencedUntil], [Sensors].[Device]": [
        SimpleNamespace(AlertId="0-5", SilencedUntil=None, Device="d", Tag="t")
    ],
    "SELECT [Sensors].[Device], [Sensors].[Tag] \nFROM": [("d", "t")],
    "SELECT [Sensors].[ModelVersion], [Sensors].[TrainFrom] \nFROM": [SimpleNamespace(ModelVersion="v1", TrainFrom=4)],
    "WHERE [Anomalies].[SensorId] = ? AND [Anomalies].[TS] = ": [SimpleNamespace(**anomaly_row(ANOMALY))],
    "WHERE [Silences].[SilenceId] = ?": [SimpleNamespace(**silence_row(SILENCE))],
    "WHERE [HeldNotifications].[UntilTime] <= ?": [SimpleNamespace(**HELD)],
    "SELECT TOP 2000 [ServedWindows].[SensorId]": [(0, 5, 1)],
    "AS [Last]": [SimpleNamespace(**incident_row(INCIDENT), Last=10)],
}
