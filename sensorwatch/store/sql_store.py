"""The store, assembled from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sensorwatch.alerts.records import IncidentRules
from sensorwatch.clock import utc_now
from sensorwatch.errors import SettingsError
from sensorwatch.store.alerts.ingestion_watch import IngestionWatchPart
from sensorwatch.store.alerts.outbox import OutboxPart
from sensorwatch.store.connection.database import Database
from sensorwatch.store.connection.engine import open_engine
from sensorwatch.store.connection.retry import Retry
from sensorwatch.store.connection.sign_in import add_user
from sensorwatch.store.dialects import dialect_named
from sensorwatch.store.ingestion import IngestPart
from sensorwatch.store.labels import LabelPart
from sensorwatch.store.migrate import current_revision, upgrade
from sensorwatch.store.pages.alerts import AlertPagesPart
from sensorwatch.store.pages.fleet import FleetPagesPart
from sensorwatch.store.pages.machines import MachinePagesPart
from sensorwatch.store.pages.runs import RunPagesPart
from sensorwatch.store.pages.sensor_history import SensorHistoryPart
from sensorwatch.store.retention import RetentionPart
from sensorwatch.store.serving import ServingPart
from sensorwatch.store.serving_status import ServingStatusPart
from sensorwatch.store.tables import store_settings

if TYPE_CHECKING:
    from sensorwatch.clock import Clock
    from sensorwatch.store.connection.sign_in import DatabaseUser

__all__ = ["SqlStore", "open_store"]


class SqlStore(
    IngestPart,
    SensorHistoryPart,
    FleetPagesPart,
    RunPagesPart,
    IngestionWatchPart,
    AlertPagesPart,
    OutboxPart,
    LabelPart,
    ServingPart,
    ServingStatusPart,
    RetentionPart,
    MachinePagesPart,
):
    """Store of all domains; safe to share between threads.

    Create it with :func:`open_store`, and call :meth:`dispose` at the end.
    """

    def check(self) -> str:
        """Return the version of the server and the revision of the database, in one line.

        Raises
        ------
        TransientError, SettingsError
            The database can't be reached or opened.
        """

        def work(connection: sa.Connection) -> str:
            if connection.dialect.name == "mssql":
                version = str(connection.exec_driver_sql("SELECT @@VERSION").scalar_one()).splitlines()[0].strip()
            else:
                version = f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar_one()}"
            return f"{version}, revision {current_revision(connection)}"

        return self._database.read(work)

    def add_user(self, user: DatabaseUser) -> None:
        """Allow an Entra identity to read and write; a second call changes nothing.

        Raises
        ------
        InvalidInputError
            The database is not SQL Server, so it has no users.
        """
        self._database.write(lambda connection: add_user(connection, user))

    def dispose(self) -> None:
        """Close all connections. No other call may be running."""
        self._database.engine.dispose()


def open_store(
    url: str,
    *,
    shard_size: int,
    clock: Clock = utc_now,
    retry: Retry | None = None,
    busy_seconds: float = 20.0,
    incident_rules: IncidentRules | None = None,
) -> SqlStore:
    """Connect to the database, migrate its tables to this version, and return the store.

    Parameters
    ----------
    url
        ``mssql+pyodbc://…`` or ``sqlite:///…``; ``?Authentication=ActiveDirectoryMsi`` uses a managed identity.
    shard_size
        Number of sensors in a shard. It is stored when the database is created, because the key of every window depends
        on it.
    clock
        Current time.
    retry
        Retries of transient errors; None: the default.
    busy_seconds
        Time that a SQLite connection waits for the write of another one, in seconds.
    incident_rules
        Rules that group alerts into incidents; None: the default.

    Raises
    ------
    SettingsError
        The URL or the shard size is wrong, or a newer version has migrated the database.
    TransientError
        The database is unavailable.
    """
    database = Database(
        engine=(engine := open_engine(url, busy_seconds=busy_seconds)),
        dialect=dialect_named(engine.dialect.name),
        shard_size=shard_size,
        clock=clock,
        retry=retry or Retry(),
        incident_rules=incident_rules or IncidentRules(),
    )
    try:
        upgrade(engine, database.retry)
        _check_shard_size(database)
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(database)


def _check_shard_size(database: Database) -> None:
    query = sa.select(store_settings.c.Value).where(store_settings.c.Name == "shard_size")
    stored = database.read(lambda connection: connection.execute(query).scalar_one_or_none())
    if stored is None:
        stored = database.write(lambda connection: _store_shard_size(connection, query, database.shard_size))
    if int(stored) != database.shard_size:
        raise SettingsError(
            f"SHARD_SIZE: expected {stored}, with which this database was created, got {database.shard_size}; "
            f"set SHARD_SIZE={stored}, or start with an empty database"
        )


def _store_shard_size(connection: sa.Connection, query: sa.Select[str], shard_size: int) -> str:
    stored = connection.execute(query).scalar_one_or_none()
    if stored is None:
        stored = str(shard_size)
        connection.execute(store_settings.insert().values(Name="shard_size", Value=stored))
    return stored
