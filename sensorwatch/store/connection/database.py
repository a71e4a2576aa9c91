"""An open database: transactions with retries, the dialect, and store-wide locks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sensorwatch.alerts.records import IncidentRules
from sensorwatch.store.connection.engine import SQLITE_BEGIN
from sensorwatch.store.tables import store_locks

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from sensorwatch.clock import Clock
    from sensorwatch.store.connection.retry import Retry
    from sensorwatch.store.dialects import Dialect

__all__ = ["Database", "StorePart", "take_lock"]

_T = TypeVar("_T")
_DEFAULT_INCIDENTS = IncidentRules()


@dataclass(frozen=True, slots=True)
class Database:
    """Engine, dialect, shard size, clock, retries and incident rules that all parts of the store share."""

    engine: Engine
    dialect: Dialect
    shard_size: int
    clock: Clock
    retry: Retry
    incident_rules: IncidentRules = _DEFAULT_INCIDENTS

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return ``work(connection)``, called in a transaction that only reads; on SQLite, it sees one snapshot."""
        return self.retry(lambda: _in_transaction(self.engine, work))

    def write(self, work: Callable[[Connection], _T]) -> _T:
        """Return ``work(connection)``, called in a transaction; after a transient error, it is called again.

        SQLite takes its write lock at the start (``BEGIN IMMEDIATE``). Otherwise a transaction that reads first and
        writes later could fail, because its snapshot may be outdated by then. SQL Server runs at READ COMMITTED, with
        or without row versions; if a caller needs more, it takes a lock.
        """
        engine = self.engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        return self.retry(lambda: _in_transaction(engine, work))


def _in_transaction(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    with engine.begin() as connection:
        return work(connection)


def take_lock(connection: Connection, name: str) -> None:
    """Wait for the store-wide lock with this name; it is held until the transaction ends.

    The lock is a row that every holder updates first. That works on every engine, and the lock is released if the
    process dies.
    """
    connection.execute(store_locks.update().where(store_locks.c.Name == name).values(Taken=store_locks.c.Taken + 1))


class StorePart:
    """Base of the store's parts."""

    def __init__(self, database: Database) -> None:
        self._database = database
