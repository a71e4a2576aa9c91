"""Engines for database URLs: drivers, pragmas, timeouts and start of transactions."""

from __future__ import annotations

import platform
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from sensorwatch.errors import SettingsError
from sensorwatch.store.connection.sign_in import uses_token, with_tokens, without_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

__all__ = ["SQLITE_BEGIN", "bundled_driver", "mssql_url", "open_engine"]

SQLITE_BEGIN = "sensorwatch_sqlite_begin"
"""Execution option: the mode of ``BEGIN`` on SQLite; ``IMMEDIATE`` takes the write lock at once."""

_DRIVER = "ODBC Driver 18 for SQL Server"
_CONNECT_SECONDS = 30
_QUERY_SECONDS = 120
_BUSY_SECONDS = 20.0
_OLDEST_SQLITE = (3, 35, 0)


def open_engine(url: str, *, busy_seconds: float = _BUSY_SECONDS) -> Engine:
    """Return an engine. It connects on first use.

    Parameters
    ----------
    url
        ``mssql+pyodbc://…`` or ``sqlite:///…``; the folder of a SQLite file is created.
    busy_seconds
        Time that a SQLite connection waits for the write of another one before a transient error, in seconds.

    Raises
    ------
    SettingsError
        The URL names no supported database, or its driver can't be loaded.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        parsed = None
    dialect = parsed.get_backend_name() if parsed is not None else ""
    if parsed is not None and dialect == "sqlite":
        return _open_sqlite(parsed, busy_seconds)
    if parsed is not None and parsed.drivername == "mssql+pyodbc":
        return _open_mssql(parsed)
    raise SettingsError(
        "DATABASE_URL: expected mssql+pyodbc://… or sqlite:///…, got another URL (not shown, as it may hold a secret)"
    )


def _open_sqlite(url: URL, busy_seconds: float) -> Engine:
    import sqlite3

    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise SettingsError(f"expected SQLite 3.35 or newer, got {sqlite3.sqlite_version}; use a newer Python build")
    in_memory = url.database in (None, "", ":memory:")
    if not in_memory:
        try:
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise SettingsError(f"DATABASE_URL: can't create the folder of `{url.database}`: {exc}") from exc
    # A database in memory exists in one connection only, so all threads share it.
    pool: dict[str, Any] = {"pool_size": 1, "max_overflow": 0} if in_memory else {"pool_size": 5, "max_overflow": 20}
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": busy_seconds},
        **pool,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: object) -> None:
        # The driver's own transaction control starts too late, and commits before DDL.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get(SQLITE_BEGIN, "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _open_mssql(url: URL) -> Engine:
    try:
        pyodbc = import_module("pyodbc")
    except ImportError as exc:
        raise SettingsError(
            f"DATABASE_URL names SQL Server, but pyodbc can't be loaded: {exc}; "
            "install unixODBC (Debian: apt-get install unixodbc)"
        ) from exc
    signs_in = uses_token(url)
    engine = sa.create_engine(
        mssql_url(without_token(url) if signs_in else url, pyodbc.drivers(), bundled_driver()),
        pool_pre_ping=True,
        pool_recycle=1800,
        fast_executemany=True,
        hide_parameters=True,
        connect_args={"timeout": _CONNECT_SECONDS},
    )
    if signs_in:
        with_tokens(engine)

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: object) -> None:
        connection.timeout = _QUERY_SECONDS

    return engine


def mssql_url(url: URL, drivers: Sequence[str], bundled: Path | None) -> URL:
    """Return the URL with an existing driver and the settings that every connection needs.

    Parameters
    ----------
    url
        URL of the database.
    drivers
        Names of the system's ODBC drivers.
    bundled
        Driver library that is used, whatever the URL names, if the system has no driver; None: there is none.

    Raises
    ------
    SettingsError
        There is no driver.
    """
    query = dict(url.query)
    for key in [key for key in query if key.lower() == "authentication"]:
        # With another spelling, SQLAlchemy also asks for a trusted connection, which the driver refuses.
        query["authentication"] = query.pop(key)
    if not drivers:
        if bundled is None:
            raise SettingsError(
                f"DATABASE_URL names SQL Server, but there is no ODBC driver; expected `{_DRIVER}`: "
                "install msodbcsql18, or the Python package mssql-python-odbc"
            )
        query["driver"] = str(bundled)
    else:
        query.setdefault("driver", _DRIVER)
    if not any(key.lower() == "encrypt" for key in query):
        query["Encrypt"] = "yes"
    return url.set(query=query)


def bundled_driver() -> Path | None:
    """Return the driver library of the package ``mssql-python-odbc`` for this machine; None without the package."""
    spec = find_spec("mssql_python_odbc")
    if spec is None or spec.origin is None:
        return None
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    found = [
        path
        for path in sorted(Path(spec.origin).parent.glob("libs/**/libmsodbcsql*18*"))
        if machine in path.parts and (".so" in path.name or path.suffix == ".dylib")
    ]
    family = _linux_family()
    return min(found, key=lambda path: (family not in path.parts, path.parts), default=None)


def _linux_family() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "debian_ubuntu"
    words = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()
    families = {"rhel": "rhel", "fedora": "rhel", "suse": "suse", "sles": "suse", "alpine": "alpine"}
    return next((families[word] for word in words if word in families), "debian_ubuntu")
