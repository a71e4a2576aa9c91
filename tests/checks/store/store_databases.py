"""The databases that the checks of the store run over; loaded as a plugin, for its fixtures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from store_cases import NOW, SHARD_SIZE

from sensorwatch.store import open_store, upgrade
from sensorwatch.store.connection.engine import open_engine
from sensorwatch.store.tables import metadata, store_locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sensorwatch.store import SqlStore

SERVER = os.environ.get("SENSORWATCH_TEST_MSSQL", "")
DATABASES = ["sqlite", *([pytest.param("mssql", marks=pytest.mark.mssql)] if SERVER else [])]


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/store.db"
    engine = open_engine(SERVER)
    upgrade(engine)
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table is not store_locks:
                connection.execute(table.delete())
    engine.dispose()
    return SERVER


@pytest.fixture
def open_one(database_url: str) -> Iterator[Callable[[], SqlStore]]:
    """Opens the same database as often as a test likes, as so many processes would."""
    opened: list[SqlStore] = []

    def one() -> SqlStore:
        opened.append(open_store(database_url, shard_size=SHARD_SIZE, clock=lambda: NOW))
        return opened[-1]

    yield one
    for store in opened:
        store.dispose()


@pytest.fixture
def store(open_one: Callable[[], SqlStore]) -> SqlStore:
    return open_one()


@pytest.fixture
def rows_of(database_url: str, store: SqlStore) -> Callable[[str], list[tuple[object, ...]]]:
    """Runs a query past the store."""

    def query(text: str) -> list[tuple[object, ...]]:
        engine = open_engine(database_url)
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(sa.text(text))]
        engine.dispose()
        return found

    return query
