"""Opening a database and living with its bad days."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import mssql, sqlite
from sqlalchemy.exc import OperationalError

from sensorwatch.errors import SettingsError, TransientError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import migrate, open_store
from sensorwatch.store.connection.engine import bundled_driver, mssql_url, open_engine
from sensorwatch.store.connection.retry import Retry, is_transient
from sensorwatch.store.connection.types import UtcTime, WindowEnd
from sensorwatch.store.tables import REVISION, metadata

if TYPE_CHECKING:
    from collections.abc import Callable

MSSQL = mssql.dialect()  # type: ignore[no-untyped-call]
DRIVER = "ODBC Driver 18 for SQL Server"


class OdbcError(Exception):
    """Looks like pyodbc's errors: SQLSTATE, then the text with the server's number in it."""


def odbc(state: str, text: str) -> OperationalError:
    return OperationalError("SELECT 1", {}, OdbcError(state, f"[{state}] [Microsoft][{DRIVER}]{text}"))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("40001", "Transaction was deadlocked (1205) (SQLExecDirectW)"),
        ("23000", "Violation of PRIMARY KEY constraint (2627) (SQLExecDirectW)"),
        ("23000", "Cannot insert duplicate key row (2601) (SQLExecDirectW)"),
        ("08S01", "Communication link failure (10054) (SQLExecDirectW)"),
        ("HYT00", "Login timeout expired (0) (SQLDriverConnect)"),
        ("42000", "Database is not currently available (40613) (SQLDriverConnect)"),
        ("42000", "Lock request time out period exceeded (1222) (SQLExecDirectW)"),
    ],
)
def test_errors_that_may_pass_are_tried_again(state: str, text: str) -> None:
    assert is_transient(odbc(state, text))


def test_a_connection_that_broke_or_was_not_free_is_tried_again() -> None:
    broken = OperationalError("SELECT 1", {}, OdbcError("HY000", "unknown"), connection_invalidated=True)
    assert is_transient(broken)
    assert is_transient(sa.exc.TimeoutError("QueuePool limit reached"))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("42S02", "Invalid object name 'Sensors' (208) (SQLExecDirectW)"),
        ("23000", "The CHECK constraint was violated (547) (SQLExecDirectW)"),
        ("28000", "Login failed for user 'app' (18456) (SQLDriverConnect)"),
    ],
)
def test_errors_that_stay_are_not_tried_again(state: str, text: str) -> None:
    assert not is_transient(odbc(state, text))
    assert not is_transient(ValueError(text))


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    return work


def test_a_retried_transaction_succeeds_after_growing_pauses() -> None:
    pauses: list[float] = []
    retry = Retry(attempts=4, longest_pause_seconds=1.0, sleep=pauses.append)
    assert retry(failing(3, odbc("40001", "(1205)"))) == "done"
    assert len(pauses) == 3
    assert all(0 <= pause <= 1.0 for pause in pauses)


def test_a_database_that_stays_away_is_a_transient_error() -> None:
    retry = Retry(attempts=3, sleep=lambda _: None)
    with pytest.raises(TransientError, match="Communication link failure"):
        retry(failing(3, odbc("08S01", "Communication link failure")))


def test_a_refused_login_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match=r"DATABASE_URL.*Login failed"):
        Retry(sleep=lambda _: None)(failing(1, odbc("28000", "Login failed for user 'app' (18456)")))


def test_any_other_error_is_passed_on_at_once() -> None:
    with pytest.raises(OperationalError):
        Retry(sleep=lambda _: None)(failing(1, odbc("42S02", "Invalid object name")))


def test_a_busy_sqlite_file_is_a_transient_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    pauses: list[float] = []
    store = open_store(url, shard_size=10, retry=Retry(attempts=3, sleep=pauses.append), busy_seconds=0.01)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="locked"):
        store.sensor_ids([SensorKey("d", "t")])
    assert len(pauses) == 2
    other.execute("ROLLBACK")
    other.close()
    assert store.sensor_ids([SensorKey("d", "t")]) == {SensorKey("d", "t"): 0}
    store.dispose()


def test_a_file_that_is_no_database_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, but long enough to be taken for one" * 40)
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10)


def test_a_folder_that_can_not_be_made_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="can't create the folder"):
        open_store(f"sqlite:///{tmp_path}/file/deeper/store.db", shard_size=10)


@pytest.mark.parametrize("url", ["postgresql://host/db", "nonsense", "mssql+pymssql://sa:s3cret@host/db"])
def test_other_databases_are_refused_without_showing_the_url(url: str) -> None:
    with pytest.raises(SettingsError, match=r"expected mssql\+pyodbc") as error:
        open_engine(url)
    assert "s3cret" not in str(error.value)


def test_a_database_in_memory_works_within_its_process() -> None:
    store = open_store("sqlite:///:memory:", shard_size=10)
    assert store.sensor_ids([SensorKey("d", "t")]) == {SensorKey("d", "t"): 0}
    store.dispose()


def test_sqlite_connections_are_set_up_for_many_processes(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/store.db", busy_seconds=7)
    with engine.connect() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() for pragma in pragmas]
    engine.dispose()
    assert found == ["wal", 1, 1, 7000]


# ---- SQL Server ------------------------------------------------------------------------------------------------------


def test_a_system_driver_is_used_and_encryption_is_on() -> None:
    url = mssql_url(sa.make_url("mssql+pyodbc://u:p@host/db"), [DRIVER], None)
    assert dict(url.query) == {"driver": DRIVER, "Encrypt": "yes"}
    chosen = mssql_url(sa.make_url("mssql+pyodbc://u:p@host/db?driver=Mine&encrypt=no"), [DRIVER], Path("/x.so"))
    assert dict(chosen.query) == {"driver": "Mine", "encrypt": "no"}


def test_the_bundled_driver_stands_in_where_the_system_has_none() -> None:
    named = sa.make_url(f"mssql+pyodbc://u:p@host/db?driver={DRIVER.replace(' ', '+')}")
    assert mssql_url(named, [], Path("/lib/driver.so")).query["driver"] == "/lib/driver.so"
    with pytest.raises(SettingsError, match="mssql-python-odbc"):
        mssql_url(named, [], None)


def test_the_bundled_driver_is_a_library_of_this_machine() -> None:
    driver = bundled_driver()
    if driver is None:
        pytest.skip("mssql-python-odbc has no driver for this machine")
    assert driver.is_file()
    assert driver.name.startswith("libmsodbcsql")


@pytest.mark.parametrize("user", ["", "0000-client-id@"])
def test_a_managed_identity_asks_for_no_trusted_connection(user: str) -> None:
    url = sa.make_url(f"mssql+pyodbc://{user}host:1433/db?Authentication=ActiveDirectoryMsi")
    connector = mssql.pyodbc.dialect()  # type: ignore[no-untyped-call]
    ((text,), _) = connector.create_connect_args(mssql_url(url, [DRIVER], None))
    parts = text.lower().split(";")
    assert "authentication=activedirectorymsi" in parts
    assert not any(part.startswith("trusted_connection") for part in parts)
    assert ("uid=0000-client-id" in parts) is bool(user)


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_the_migrations_lead_to_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    open_store(url, shard_size=10).dispose()
    engine = open_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_revision_of_the_tables() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_times_are_utc_on_every_dialect() -> None:
    moment = datetime.fromisoformat("2026-11-20T12:15:00.000001+02:00")
    for dialect in (sqlite.dialect(), MSSQL):
        stored = UtcTime().process_bind_param(moment, dialect)
        back = UtcTime().process_result_value(stored, dialect)
        assert (back, back and back.tzinfo) == (moment, UTC)
        with pytest.raises(ValueError, match="expected a time with a zone"):
            UtcTime().process_bind_param(moment.replace(tzinfo=None), dialect)
        end = WindowEnd().process_bind_param(1_795_169_700, dialect)
        assert WindowEnd().process_result_value(end, dialect) == 1_795_169_700
    assert WindowEnd().process_bind_param(1_795_169_700, MSSQL).isoformat() == "2026-11-20T10:15:00"


def test_importing_the_store_loads_no_numerical_stack() -> None:
    code = (
        "import sys, sensorwatch.store; print({'numpy', 'pandas', 'pyarrow', 'alembic', 'pyodbc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


class LockServer:
    """Stands in for SQL Server's engine during a migration: gives or refuses the lock, and notes the statements."""

    def __init__(self, outcome: int) -> None:
        self.dialect = MSSQL
        self.outcome = outcome
        self.statements: list[str] = []

    def connect(self) -> LockServer:
        return self

    begin = connect

    def execution_options(self, **_: object) -> LockServer:
        return self

    def __enter__(self) -> LockServer:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, statement: object, _parameters: object = None) -> LockServer:
        self.statements.append(str(statement))
        return self

    def scalar_one(self) -> int:
        return self.outcome


def test_a_migration_on_sql_server_gives_its_lock_back_even_when_it_fails() -> None:
    server = LockServer(0)
    with pytest.raises(ValueError, match="half way"), migrate._migrating(server):  # type: ignore[arg-type]
        raise ValueError("half way")
    assert server.statements == [migrate.TAKE_LOCK, migrate.RELEASE_LOCK]


def test_a_migration_that_waits_for_another_process_in_vain_can_be_tried_again() -> None:
    server = LockServer(-1)
    with (
        pytest.raises(TransientError, match="another process is migrating the database"),
        migrate._migrating(server),  # type: ignore[arg-type]
    ):
        raise AssertionError("the lock was not given")
    assert server.statements == [migrate.TAKE_LOCK]
