"""The T-SQL that the store sends, without a server: recorded, parsed, and held to what every engine runs."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa
import sqlglot
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects.mssql.pyodbc import dialect as pyodbc_dialect
from sqlglot import exp

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
from sensorwatch.errors import CheckpointConflictError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import ReportingProfile, SensorKey, TrainingOutcome
from sensorwatch.sensors.states import Freshness, SensorQuery
from sensorwatch.sensors.windows import WindowColumns
from sensorwatch.store.alerts.rows import (
    alert_row,
    anomaly_row,
    handling_row,
    incident_row,
    notification_row,
    silence_row,
)
from sensorwatch.store.connection.database import Database
from sensorwatch.store.dialects.mssql import MERGE_WINDOWS, MssqlDialect
from sensorwatch.store.migrate import RELEASE_LOCK, TAKE_LOCK
from sensorwatch.store.migrations import versions
from sensorwatch.store.pages.queries import AnomalyQuery, EndKey, RunKey, WindowRange
from sensorwatch.store.sql_store import SqlStore
from sensorwatch.store.tables import metadata
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
AVOIDED = {
    *("MERGE", "OUTPUT", "CREATE OR ALTER", "IGNORE_DUP_KEY", "COLUMNSTORE", "WITH TIES", "WAITFOR", "CONVERT"),
    *("ALTER COLUMN", "SYS.INDEXES", "DROP CONSTRAINT", "NTEXT", "HOLDLOCK", "NOLOCK", "SCOPE_IDENTITY"),
}
DIALECT = pyodbc_dialect(paramstyle="qmark")  # type: ignore[no-untyped-call]
TEXTS_IN_SQL = {"", "ready", "1970-01-01", "sensorwatch.migrations", "Exclusive", "Session"}


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
    "[ServedWindows].[TS] <= ": [(0, 5, 1)],
    "AS [Last]": [SimpleNamespace(**incident_row(INCIDENT), Last=10)],
}
BATCHES = {"merge": MERGE_WINDOWS.replace(":windows", "?"), "lock": TAKE_LOCK.replace(":milliseconds", "?")}


def sent() -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, work in CALLS.items():
        recorder = Recorder(answers=ANSWERS)
        work(store_on(recorder))
        texts |= {f"{name} {i}": text for i, text in enumerate(recorder.texts)}
    return texts | BATCHES | {"release": RELEASE_LOCK}


def migration() -> list[str]:
    """The statements of all migrations for SQL Server, in order."""
    buffer = io.StringIO()
    context = MigrationContext.configure(dialect=DIALECT, opts={"as_sql": True, "output_buffer": buffer})
    with Operations.context(context):
        for name in sorted(module.name for module in iter_modules(versions.__path__)):
            import_module(f"{versions.__name__}.{name}").upgrade()
    return [text.strip() for text in re.split(r"^GO$", buffer.getvalue(), flags=re.MULTILINE) if text.strip()]


SENT = sent()
DDL = {f"migration {i}": text for i, text in enumerate(migration())}


@pytest.mark.parametrize("name", [*SENT, *DDL])
def test_every_text_is_t_sql(name: str) -> None:
    text = (SENT | DDL)[name]
    statements = sqlglot.parse(text, read="tsql")
    assert statements
    for statement in statements:
        assert statement is not None
        assert not isinstance(statement, exp.Command), f"not understood: {statement.sql()}"


@pytest.mark.parametrize("name", [*SENT, *DDL])
def test_nothing_is_used_that_some_engines_lack(name: str) -> None:
    text = (SENT | DDL)[name]
    words = re.sub(r"\s+", " ", text.upper())
    assert [avoided for avoided in AVOIDED if re.search(rf"\b{re.escape(avoided)}\b", words)] == []
    for statement in sqlglot.parse(text, read="tsql"):
        assert statement is not None
        changes = [statement] if isinstance(statement, exp.Update | exp.Delete) else []
        assert all(change.find(exp.With) is None for change in changes), "a change through a CTE"


@pytest.mark.parametrize("name", SENT)
def test_values_travel_as_question_marks(name: str) -> None:
    for statement in sqlglot.parse(SENT[name], read="tsql"):
        assert statement is not None
        texts = {str(literal.this) for literal in statement.find_all(exp.Literal) if literal.is_string}
        assert {text for text in texts if not text.startswith("$[")} <= TEXTS_IN_SQL
    assert ":" not in SENT[name]
    assert "é" not in SENT[name]


def test_the_mark_is_moved_before_windows_are_merged_in_one_round_trip() -> None:
    recorder = Recorder()
    commit(store_on(recorder))
    mark, merge = recorder.texts
    assert mark.startswith("UPDATE [IngestPartitions] SET [SequenceNumber]=?")
    assert "[IngestPartitions].[SequenceNumber] = ? AND [IngestPartitions].[EnqueuedTime] = ?" in mark
    assert merge == BATCHES["merge"]


def test_windows_travel_ordered_by_the_clustered_key() -> None:
    recorder = Recorder()
    commit(store_on(recorder))
    assert msgspec.json.decode(recorder.parameters[1]["windows"]) == [
        [0, "1970-01-01T00:00:05", 3, 1, 0.1, 0.1, 0.1, 0.01],
        [1, "1970-01-01T00:00:10", 12, 1, 1.0, 1.0, 1.0, 1.0],
    ]


def test_the_merge_rolls_back_as_a_whole_and_runs_to_its_end() -> None:
    statements = [statement.sql("tsql") for statement in sqlglot.parse(BATCHES["merge"], read="tsql") if statement]
    assert statements[:2] == ["SET NOCOUNT ON", "SET XACT_ABORT ON"]
    assert statements[-1].startswith("SELECT @shards")


def test_planning_is_locked_after_the_windows_are_written_and_before_marks() -> None:
    written = BATCHES["merge"].index("INSERT INTO SensorWindows")
    locked = BATCHES["merge"].index("WITH (REPEATABLEREAD)")
    marked = BATCHES["merge"].index("INSERT INTO RescoreWindows")
    assert written < locked < marked


@pytest.mark.parametrize("name", ["publish", "sensor_ids"])
def test_store_wide_work_takes_its_lock_before_it_reads(name: str) -> None:
    recorder = Recorder(answers=ANSWERS)
    CALLS[name](store_on(recorder))
    in_transaction = recorder.texts[0 if name == "publish" else 1 :]
    assert in_transaction[0].startswith("UPDATE [StoreLocks] SET [Taken]=")
    assert all("StoreLocks" not in text for text in in_transaction[1:])


def test_a_commit_that_finds_another_mark_writes_no_window() -> None:
    recorder = Recorder()
    recorder.touched = 0
    with pytest.raises(CheckpointConflictError):
        commit(store_on(recorder))
    assert not any("SensorWindows" in text for text in recorder.texts)


def test_the_migration_makes_the_tables_that_the_store_uses() -> None:
    created = {
        str(statement.this.this.name)
        for text in DDL.values()
        for statement in sqlglot.parse(text, read="tsql")
        if isinstance(statement, exp.Create) and statement.kind == "TABLE"
    }
    assert created == set(metadata.tables)


def test_windows_are_clustered_by_shard_end_and_sensor() -> None:
    (text,) = [text for text in DDL.values() if text.startswith("CREATE TABLE [SensorWindows]")]
    assert "PRIMARY KEY CLUSTERED ([Shard], [TS], [SensorId])" in text


def test_the_view_has_the_original_columns() -> None:
    (text,) = [text for text in DDL.values() if text.startswith("CREATE VIEW")]
    (view,) = sqlglot.parse(text, read="tsql")
    assert view is not None
    select = view.find(exp.Select)
    assert select is not None
    assert select.named_selects == ["TS", "Device", "Tag", "Value"]
