"""The T-SQL that the store sends, without a server: recorded, parsed, and held to what every engine runs."""

from __future__ import annotations

import io
import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import msgspec
import pytest
import sqlglot
from alembic.migration import MigrationContext
from alembic.operations import Operations
from every_case import check_every
from sqlglot import exp
from tsql_calls import ANSWERS, CALLS, DIALECT, Recorder, commit, store_on

from sensorwatch.errors import CheckpointConflictError
from sensorwatch.store.dialects.mssql import MERGE_WINDOWS
from sensorwatch.store.migrate import RELEASE_LOCK, TAKE_LOCK
from sensorwatch.store.migrations import versions
from sensorwatch.store.sql_store import SqlStore
from sensorwatch.store.tables import metadata

AVOIDED = {
    *("MERGE", "OUTPUT", "CREATE OR ALTER", "IGNORE_DUP_KEY", "COLUMNSTORE", "WITH TIES", "WAITFOR", "CONVERT"),
    *("ALTER COLUMN", "SYS.INDEXES", "DROP CONSTRAINT", "NTEXT", "HOLDLOCK", "NOLOCK", "SCOPE_IDENTITY"),
}
# A longer text is what every engine can make of a column, with its index and default in place.
WIDENED = "ALTER TABLE [Alerts] ALTER COLUMN [Kind] VARCHAR(32) NOT NULL;"
TEXTS_IN_SQL = {"", "ready", "1970-01-01", "sensorwatch.migrations", "Exclusive", "Session"}
BATCHES = {"merge": MERGE_WINDOWS.replace(":windows", "?"), "lock": TAKE_LOCK.replace(":milliseconds", "?")}


@cache
def sent() -> dict[str, str]:
    """Statements of the store, by the call that sends them."""
    texts: dict[str, str] = {}
    for name, work in CALLS.items():
        recorder = Recorder(answers=ANSWERS)
        work(store_on(recorder))
        assert recorder.texts, f"{name} sends nothing"
        texts |= {f"{name} {i}": text for i, text in enumerate(recorder.texts)}
    return texts | BATCHES | {"release": RELEASE_LOCK}


@cache
def migrations() -> dict[str, str]:
    """The statements of all migrations for SQL Server, in order."""
    buffer = io.StringIO()
    context = MigrationContext.configure(dialect=DIALECT, opts={"as_sql": True, "output_buffer": buffer})
    with Operations.context(context):
        for name in sorted(module.name for module in iter_modules(versions.__path__)):
            import_module(f"{versions.__name__}.{name}").upgrade()
    texts = [text.strip() for text in re.split(r"^GO$", buffer.getvalue(), flags=re.MULTILINE)]
    return {f"migration {i}": text for i, text in enumerate(filter(None, texts))}


def all_texts() -> dict[str, str]:
    return sent() | migrations()


@cache
def parsed(text: str) -> list[exp.Expr]:
    statements = sqlglot.parse(text, read="tsql")
    assert statements, "nothing is understood"
    assert None not in statements
    return [statement for statement in statements if statement is not None]


class Noting:
    """Notes the names of the methods of a store that are called."""

    def __init__(self) -> None:
        self.called: set[str] = set()
        self._store = store_on(Recorder(answers=ANSWERS))

    def __getattr__(self, name: str) -> object:
        self.called.add(name)
        return getattr(self._store, name)


def test_every_method_of_the_store_is_recorded() -> None:
    noting = Noting()
    for work in CALLS.values():
        work(noting)  # type: ignore[arg-type]
    methods = {name for name in dir(SqlStore) if not name.startswith("_") and callable(getattr(SqlStore, name))}
    # Those three are about the connection and its users; test_sign_in.py has the statements of add_user.
    assert methods - noting.called == {"add_user", "check", "dispose"}


def test_every_text_is_t_sql() -> None:
    def check(case: tuple[str, str]) -> None:
        text = case[1]
        not_understood = [each.sql() for each in parsed(text) if isinstance(each, exp.Command)]
        assert not_understood == []

    check_every(all_texts().items(), check)


def test_nothing_is_used_that_some_engines_lack() -> None:
    def check(case: tuple[str, str]) -> None:
        text = case[1].replace(WIDENED, "")
        words = re.sub(r"\s+", " ", text.upper())
        assert [avoided for avoided in AVOIDED if re.search(rf"\b{re.escape(avoided)}\b", words)] == []
        changes = [each for each in parsed(case[1]) if isinstance(each, exp.Update | exp.Delete)]
        assert all(change.find(exp.With) is None for change in changes), "a change through a CTE"

    check_every(all_texts().items(), check)
    assert any(isinstance(each, exp.Update) for text in all_texts().values() for each in parsed(text))


def test_values_travel_as_question_marks() -> None:
    def check(case: tuple[str, str]) -> None:
        text = case[1]
        literals = [found for each in parsed(text) for found in each.find_all(exp.Literal) if found.is_string]
        texts = {str(literal.this) for literal in literals}
        assert {text for text in texts if not text.startswith("$[")} <= TEXTS_IN_SQL
        assert ":" not in text
        assert "é" not in text

    check_every(sent().items(), check)


def test_the_checkpoint_is_moved_before_windows_are_merged_in_one_round_trip() -> None:
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
    statements = [statement.sql("tsql") for statement in parsed(BATCHES["merge"])]
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
    assert len(in_transaction) > 1
    assert all("StoreLocks" not in text for text in in_transaction[1:])


def test_a_commit_that_finds_another_checkpoint_writes_no_window() -> None:
    recorder = Recorder()
    recorder.touched = 0
    with pytest.raises(CheckpointConflictError):
        commit(store_on(recorder))
    assert recorder.texts
    assert not any("SensorWindows" in text for text in recorder.texts)


def test_the_migration_makes_the_tables_that_the_store_uses() -> None:
    created = {
        str(statement.this.this.name)
        for text in migrations().values()
        for statement in parsed(text)
        if isinstance(statement, exp.Create) and statement.kind == "TABLE"
    }
    assert created == set(metadata.tables)


def test_windows_are_clustered_by_shard_end_and_sensor() -> None:
    (text,) = [text for text in migrations().values() if text.startswith("CREATE TABLE [SensorWindows]")]
    assert "PRIMARY KEY CLUSTERED ([Shard], [TS], [SensorId])" in text


def test_the_view_has_the_original_columns() -> None:
    (text,) = [text for text in migrations().values() if text.startswith("CREATE VIEW")]
    (view,) = parsed(text)
    select = view.find(exp.Select)
    assert select is not None
    assert select.named_selects == ["TS", "Device", "Tag", "Value"]
