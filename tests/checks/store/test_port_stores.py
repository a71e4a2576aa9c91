"""Stores in memory and in SQL keep the same contracts."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes.ingestion import FakeIngestStore
from fakes.models import NOON, WINDOW_SECONDS, FakeStore, task
from hypothesis import given, settings
from hypothesis import strategies as st
from store_cases import HUB, checkpoint, counts, keys, run_of, window

from sensorwatch.errors import SensorwatchError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import ReportingProfile, SensorKey, TrainingOutcome
from sensorwatch.store import SqlStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from sensorwatch.sensors.windows import WindowColumns

SECOND_HUB = HUB._replace(partition_id="1")
FIRST_SEEN = NOON - timedelta(days=1)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database; its migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("stores") / "empty.db"
    open_store(f"sqlite:///{path}", shard_size=1000).dispose()
    return path


@contextmanager
def sql_store(empty_database: Path) -> Iterator[SqlStore]:
    with TemporaryDirectory() as folder:
        shutil.copy(empty_database, f"{folder}/store.db")
        store = open_store(f"sqlite:///{folder}/store.db", shard_size=1000, clock=lambda: FIRST_SEEN)
        try:
            yield store
        finally:
            store.dispose()


# ---- ingestion -------------------------------------------------------------------------------------------------------

Commit = tuple[Partition, OffsetCheckpoint | None, OffsetCheckpoint, list[Window], IngestCounts]

commits = st.tuples(
    st.sampled_from([HUB, SECOND_HUB]),
    st.none() | st.integers(1, 3).map(checkpoint),
    st.integers(1, 3).map(checkpoint),
    st.lists(st.builds(window, st.integers(0, 2), st.sampled_from([5, 10, 15]), st.integers(-3, 3)), max_size=3),
    st.integers(0, 3).map(counts) | st.just(IngestCounts(3, 1, 0, 0, 0)),
)


def outcome(commit: Callable[..., None], arguments: Commit) -> type[SensorwatchError] | None:
    try:
        commit(*arguments)
    except SensorwatchError as error:
        return type(error)
    return None


def sql_windows(store: SqlStore) -> dict[tuple[int, int], tuple[float, int]]:
    return as_rows(store.read_windows(0, None, NOON + timedelta(days=1)))


def as_rows(found: WindowColumns) -> dict[tuple[int, int], tuple[float, int]]:
    columns = (found.sensor_id, found.end, found.value, found.count)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert rows == sorted(rows)
    return {(sensor_id, end): (value, count) for sensor_id, end, value, count in rows}


@settings(max_examples=40)
@given(st.permutations(keys(3)), st.lists(commits, max_size=12))
def test_any_commits_leave_the_same_windows_counters_and_checkpoints(
    empty_database: Path, names: list[SensorKey], plan: list[Commit]
) -> None:
    fake = FakeIngestStore()
    with sql_store(empty_database) as real:
        for wanted in (names[:2], names, names[1:]):
            assert fake.sensor_ids(wanted) == real.sensor_ids(wanted)
        for arguments in plan:
            assert outcome(fake.commit_ingest, arguments) == outcome(real.commit_ingest, arguments)
        assert fake.ingest_status() == real.ingest_status()
        assert fake.last_windows(range(5)) == real.last_windows(range(5))
        for partition in (HUB, SECOND_HUB, HUB._replace(hub="other")):
            assert fake.offset_checkpoint(partition) == real.offset_checkpoint(partition)
        expected = {key: (found.total / found.readings, found.readings) for key, found in fake.windows.items()}
        assert sql_windows(real) == expected


def test_windows_are_known_to_be_planned_up_to_a_time(empty_database: Path) -> None:
    fake = FakeIngestStore()
    with sql_store(empty_database) as real:
        assert fake.sensor_ids(keys(2)) == real.sensor_ids(keys(2))
        assert fake.planned_until([0, 1]) == real.planned_until([0, 1]) == {}
        real.begin_run(run_of(task("score", NOON)), NOON)
        fake.planned = dict.fromkeys([0, 1], int(NOON.timestamp()))
        assert fake.planned_until([1]) == real.planned_until([1]) == {1: int(NOON.timestamp())}


# ---- training and scoring --------------------------------------------------------------------------------------------


class FilledSqlStore:
    """A store in SQL that is filled as :class:`FakeStore` is."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self._commits = 0

    def add(self, sensor_id: int, values: Sequence[float], end: datetime = NOON) -> None:
        self.store.sensor_ids([SensorKey(f"device-{number}", "temperature") for number in range(sensor_id + 1)])
        last = int(end.timestamp())
        ends = [last - WINDOW_SECONDS * back for back in range(len(values))]
        self._commit([Window(sensor_id, at, 1, v, v, v, v * v) for at, v in zip(ends, reversed(values), strict=True)])

    def change(self, sensor_id: int, end: datetime, value: float) -> None:
        self.store.begin_run(run_of(task("score", end)), NOON)
        seconds = int(end.timestamp())
        old, count = as_rows(self.store.read_windows(0, None, end)).get((sensor_id, seconds), (0.0, 0))
        # The reading with which the window's mean becomes the value.
        reading = value * (count + 1) - old * count
        self._commit([Window(sensor_id, seconds, 1, reading, reading, reading, reading * reading)])

    def _commit(self, windows: list[Window]) -> None:
        last = self.store.offset_checkpoint(HUB)
        self._commits += 1
        found = IngestCounts(len(windows), len(windows), 0, 0, 0)
        self.store.commit_ingest(HUB, last, checkpoint(self._commits), windows, found)


Stores = tuple[FakeStore | SqlStore, FakeStore | FilledSqlStore]


@pytest.fixture(params=["fake", "sql"])
def stores(request: pytest.FixtureRequest, empty_database: Path) -> Iterator[Stores]:
    """A store, and what fills it."""
    if request.param == "fake":
        fake = FakeStore()
        yield fake, fake
    else:
        with sql_store(empty_database) as real:
            yield real, FilledSqlStore(real)


def at(windows: int) -> datetime:
    return NOON + timedelta(seconds=WINDOW_SECONDS * windows)


def second(windows: int) -> int:
    return int(at(windows).timestamp())


def test_the_catalogue_knows_each_sensor_with_its_newest_window(stores: Stores) -> None:
    store, filled = stores
    filled.add(0, [1.0, 2.0])
    filled.add(1, [3.0], at(-1))
    first, second_one = store.sensors(0)
    assert (first.sensor_id, first.key, first.shard) == (0, SensorKey("device-0", "temperature"), 0)
    assert (first.first_seen, first.last_window, first.state) == (FIRST_SEEN, NOON, "no-data")
    assert (first.reason, first.trained_until, first.model_version) == ("", None, "")
    assert second_one.last_window == at(-1)
    assert store.sensors_by_id([1, 9]) == {1: second_one}


def test_windows_are_read_after_the_start_up_to_and_with_the_end(stores: Stores) -> None:
    store, filled = stores
    filled.add(1, [10.0, 11.0, 12.0, 13.0])
    filled.add(0, [1.0, 2.0, 3.0, 4.0])
    found = store.read_windows(0, at(-3), at(-1))
    assert as_rows(found) == {
        (0, second(-2)): (2.0, 1),
        (0, second(-1)): (3.0, 1),
        (1, second(-2)): (11.0, 1),
        (1, second(-1)): (12.0, 1),
    }
    assert [column.dtype for column in (found.sensor_id, found.end, found.value, found.count)] == [
        np.int64,
        np.int64,
        np.float64,
        np.int64,
    ]
    assert len(as_rows(store.read_windows(0, None, NOON))) == 8
    assert as_rows(store.read_windows(0, NOON, at(9))) == {}


def test_a_training_is_recorded_and_never_moves_back(stores: Stores) -> None:
    store, filled = stores
    filled.add(0, [1.0])
    store.record_training([TrainingOutcome(0, "ready", "", NOON, "v1")])
    later = [TrainingOutcome(0, "stale", "old", at(-5), "v2"), TrainingOutcome(0, "failed", "constant", None, "v2")]
    for trained in later:
        store.record_training([trained])
        (known,) = store.sensors()
        assert (known.state, known.reason, known.model_version) == (trained.state, trained.reason, "v2")
        assert known.trained_until == NOON


def test_a_changed_window_is_scored_again_until_it_was_scored_as_it_is(stores: Stores) -> None:
    store, filled = stores
    filled.add(0, [1.0, 2.0, 3.0])
    store.record_training([TrainingOutcome(0, "ready", "", at(-9), "v1")])
    filled.change(0, at(-1), 5.0)
    filled.change(0, NOON, 6.0)
    read = store.read_rescore_windows(0, NOON)
    assert as_rows(read) == {(0, second(-1)): (5.0, 2), (0, second(0)): (6.0, 2)}
    assert as_rows(store.read_rescore_windows(0, at(-1))) == {(0, second(-1)): (5.0, 2)}
    filled.change(0, NOON, 7.0)
    store.complete_scoring(task("score", NOON), read)
    assert as_rows(store.read_rescore_windows(0, NOON)) == {(0, second(0)): (7.0, 3)}


def test_windows_of_a_sensor_without_a_model_wait_for_no_scoring(stores: Stores) -> None:
    store, filled = stores
    filled.add(0, [1.0])
    filled.change(0, NOON, 2.0)
    store.complete_scoring(task("score", NOON), store.read_windows(0, NOON, NOON))
    assert as_rows(store.read_rescore_windows(0, NOON)) == {}


def test_a_task_is_scored_when_it_or_a_later_one_was_completed(stores: Stores) -> None:
    store, filled = stores
    filled.add(0, [1.0])
    store.record_training([TrainingOutcome(0, "ready", "", at(-9), "v1")])
    assert not store.is_scored(task("score", at(-1)))
    store.complete_scoring(task("score", NOON), store.read_windows(0, None, NOON))
    assert [store.is_scored(task("score", end)) for end in (at(-1), NOON, at(1))] == [True, True, False]


def test_profiles_and_labels_of_a_shard_without_any_are_empty(stores: Stores) -> None:
    store, filled = stores
    filled.add(0, [1.0])
    labels = store.shard_labels(0, None, NOON)
    assert (len(labels.spans), len(labels.found)) == (0, 0)
    store.record_reporting_profiles([ReportingProfile(0, 5, None)])
    profiles = store.reporting_profiles if isinstance(store, FakeStore) else store.reporting_profiles([0])
    assert profiles == {0: ReportingProfile(0, 5, None)}
