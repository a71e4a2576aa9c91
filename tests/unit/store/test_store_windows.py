"""The laws of merging windows in SQL: order and partition don't matter, nothing is half done, floats stay exact."""

from __future__ import annotations

import struct
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import open_store
from sensorwatch.store.connection.engine import open_engine
from sensorwatch.store.connection.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sensorwatch.store import SqlStore

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HUB = Partition("readings", "$Default", "0")
SENSORS = 5
T = TypeVar("T")
Row = tuple[int, float, float, float, float]

whole = st.integers(-1000, 1000).map(float)
"""Sums of whole numbers are exact, so they don't depend on the order."""

readings = st.lists(st.tuples(st.integers(0, SENSORS - 1), st.sampled_from([5, 10, 15]), whole), max_size=60)


def aggregate(batch: Sequence[tuple[int, int, float]]) -> dict[tuple[int, int], Row]:
    merged: dict[tuple[int, int], Row] = {}
    for sensor_id, end, value in batch:
        count, total, low, high, squares = merged.get((sensor_id, end), (0, 0.0, value, value, 0.0))
        merged[sensor_id, end] = count + 1, total + value, min(low, value), max(high, value), squares + value * value
    return merged


def windows_of(batch: Sequence[tuple[int, int, float]]) -> list[Window]:
    return [Window(sensor_id, end, *row) for (sensor_id, end), row in aggregate(batch).items()]


@contextmanager
def opened() -> Iterator[tuple[SqlStore, str]]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        store = open_store(url, shard_size=2, clock=lambda: NOW)
        try:
            store.sensor_ids([SensorKey(f"d{i}", "t") for i in range(SENSORS)])
            yield store, url
        finally:
            store.dispose()


def stored(url: str) -> dict[tuple[int, int], Row]:
    engine = open_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT SensorId, TS, Readings, Total, Minimum, Maximum, SumOfSquares, Shard FROM SensorWindows")
        ).all()
    engine.dispose()
    assert all(row.Shard == row.SensorId // 2 for row in rows)
    return {(row[0], row[1]): (row[2], row[3], row[4], row[5], row[6]) for row in rows}


def commit(store: SqlStore, number: int, windows: Sequence[Window]) -> None:
    marks = [OffsetCheckpoint(i, NOW + timedelta(seconds=i)) for i in (number - 1, number)]
    counts = IngestCounts(len(windows), len(windows), 0, 0, 0)
    store.commit_ingest(HUB, marks[0] if number else None, marks[1], windows, counts)


@settings(max_examples=25, deadline=None)
@given(events=readings, cuts=st.lists(st.integers(0, 60), max_size=5), order=st.randoms(use_true_random=False))
def test_any_partition_in_any_order_gives_the_rows_of_a_plain_merge(
    events: list[tuple[int, int, float]], cuts: list[int], order: object
) -> None:
    shuffled = list(events)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    edges = [0, *sorted(min(cut, len(shuffled)) for cut in cuts), len(shuffled)]
    with opened() as (store, url):
        for number, (start, stop) in enumerate(pairwise(edges)):
            commit(store, number, windows_of(shuffled[start:stop]))
        assert stored(url) == aggregate(events)
        newest = {sensor_id: max(end for s, end, _ in events if s == sensor_id) for sensor_id, _, _ in events}
        assert store.last_windows(range(SENSORS)) == newest


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@settings(max_examples=40, deadline=None)
@given(sums=st.lists(st.tuples(finite, finite, finite, finite), min_size=1, max_size=30))
def test_every_float_comes_back_with_every_bit(sums: list[tuple[float, float, float, float]]) -> None:
    with opened() as (store, url):
        commit(store, 0, [Window(0, 5 * i, 1, *four) for i, four in enumerate(sums)])
        found = stored(url)
        for i, four in enumerate(sums):
            assert struct.pack("<4d", *found[0, 5 * i][1:]) == struct.pack("<4d", *four)


@pytest.mark.parametrize("statement", ["INSERT INTO SensorWindows", "UPDATE Sensors", "INSERT INTO RescoreWindows"])
def test_a_crash_inside_the_transaction_leaves_nothing(statement: str) -> None:
    with opened() as (store, url):
        commit(store, 0, [Window(0, 5, 1, 1.0, 1.0, 1.0, 1.0)])
        engine = store._database.engine
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE ShardScoring SET PlannedUntil = 100"))
        before = stored(url), store.ingest_status(), store.last_windows([0])

        @sa.event.listens_for(engine, "after_cursor_execute")
        def crash(_connection: object, _cursor: object, text: str, *_: object) -> None:
            if statement in text:
                raise RuntimeError("power cut")

        late = [Window(0, 5, 1, 2.0, 2.0, 2.0, 4.0), Window(1, 10, 1, 2.0, 2.0, 2.0, 4.0)]
        with pytest.raises(RuntimeError, match="power cut"):
            commit(store, 1, late)
        sa.event.remove(engine, "after_cursor_execute", crash)
        assert (stored(url), store.ingest_status(), store.last_windows([0])) == before
        assert len(store.read_rescore_windows(0, NOW).end) == 0
        commit(store, 1, late)
        assert stored(url)[0, 5] == (2, 3.0, 1.0, 2.0, 5.0)
        assert len(store.read_rescore_windows(0, NOW).end) == 2


def test_reading_marked_windows_does_not_go_through_the_shards_history() -> None:
    with opened() as (store, url):
        rows = [Window(0, 5 * i, 1, 1.0, 1.0, 1.0, 1.0) for i in range(1, 20_001)]
        counts = IngestCounts(len(rows), len(rows), 0, 0, 0)
        store.commit_ingest(HUB, None, OffsetCheckpoint(1, NOW), rows, counts)
        engine = open_engine(url)
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        @sa.event.listens_for(store._database.engine, "checkout")
        def _watch(connection: sa.engine.interfaces.DBAPIConnection, *_: object) -> None:
            connection.set_progress_handler(count, 100)

        with engine.begin() as connection:
            connection.execute(
                sa.text("INSERT INTO RescoreWindows (Shard, TS, SensorId, Readings) VALUES (0, 50, 0, 1)")
            )
        assert store.read_rescore_windows(0, NOW).end.tolist() == [50]
        engine.dispose()
        assert steps * 100 < len(rows)


class AnswersLost(Retry):
    """Repeats a transaction that succeeded, as when the connection breaks before the answer to its commit."""

    def __call__(self, work: Callable[[], T]) -> T:
        work()
        return super().__call__(work)


def test_a_commit_whose_answer_is_lost_counts_once(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=2)
    (sensor_id,) = store.sensor_ids([SensorKey("press", "t")]).values()
    store._database = replace(store._database, retry=AnswersLost())
    for number, before in ((1, None), (2, OffsetCheckpoint(1, NOW))):
        window = Window(sensor_id, 5, 1, 2.0, 2.0, 2.0, 4.0)
        store.commit_ingest(HUB, before, OffsetCheckpoint(number, NOW), [window], IngestCounts(1, 1, 0, 0, 0))
    (status,) = store.ingest_status()
    assert (status.checkpoint, status.counts) == (OffsetCheckpoint(2, NOW), IngestCounts(2, 2, 0, 0, 0))
    assert store.read_windows(0, None, NOW).count.tolist() == [2]
    store.dispose()
