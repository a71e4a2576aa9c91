"""One open database: transactions with retries, what differs between dialects, and what every part needs."""

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
    """An engine with its dialect's statements, the retries, the clock, the shard size and what makes an incident."""

    engine: Engine
    dialect: Dialect
    shard_size: int
    clock: Clock
    retry: Retry
    incident_rules: IncidentRules = _DEFAULT_INCIDENTS

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return ``work(connection)`` from a transaction that only reads: one snapshot on SQLite."""
        return self.retry(lambda: _in_transaction(self.engine, work))

    def write(self, work: Callable[[Connection], _T]) -> _T:
        """Return ``work(connection)`` from a transaction that commits as a whole; repeated after a transient error.

        SQLite takes its one write lock at the beginning (``BEGIN IMMEDIATE``): a transaction that read first and
        wrote later could fail in the middle, as its snapshot may be old by then. SQL Server runs at READ COMMITTED,
        with or without row versions; where more is needed the caller takes a lock and says why.
        """
        engine = self.engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        return self.retry(lambda: _in_transaction(engine, work))


def _in_transaction(engine: Engine, work: Callable[[Connection], _T]) -> _T:
    with engine.begin() as connection:
        return work(connection)


def take_lock(connection: Connection, name: str) -> None:
    """Wait for the store-wide lock of this name; it is held until the transaction ends.

    The lock is a row that everybody who wants it updates first. That works alike on every engine, begins the
    transaction by itself, and goes away with the connection of a process that dies.
    """
    connection.execute(store_locks.update().where(store_locks.c.Name == name).values(Taken=store_locks.c.Taken + 1))


class StorePart:
    """Base of the store's parts."""

    def __init__(self, database: Database) -> None:
        self._database = database
