"""The ingest step over the real store on SQLite: whatever the hub, the network and the processes do, it counts once.

The laws of the step alone, with windows to the last bit, are in test_ingest_step.py; here the transactions count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from event_bodies import mutated_bodies
from fakes.ingestion import FakeDeadLetters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_reference import Row, assert_windows, reference

from sensorwatch.errors import TransientError
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, PartitionStatus, RawEvent, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import SqlStore, open_store
from sensorwatch.store.connection.engine import open_engine
from sensorwatch.store.tables import ingest_partitions, metadata, sensor_windows, sensors, shard_scoring

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANEW = NOON + timedelta(hours=1)
LATENESS = 60
RULES = IngestRules(window_seconds=5, lateness_seconds=LATENESS)
PARTITIONS = {"0": ["a", "b"], "1": ["c"]}
FAULTS = ["", "", "statement", "commit", "after", "lost", "overtaken"]


class Database:
    """A SQLite file that is emptied rather than made anew: the migrations take longer than a test."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/store.db"
        self._reader = open_engine(self.url)
        self._opened: list[SqlStore] = []
        self.open()

    def open(self) -> SqlStore:
        """Return a store of its own, as another process would have it."""
        self._opened.append(open_store(self.url, shard_size=2, clock=lambda: NOON))
        return self._opened[-1]

    def clear(self) -> None:
        self.dispose()
        with self._reader.begin() as connection:
            for table in (sensor_windows, sensors, shard_scoring, ingest_partitions):
                connection.execute(metadata.tables[table.name].delete())

    def dispose(self) -> None:
        while self._opened:
            self._opened.pop().dispose()

    def windows(self) -> dict[tuple[str, str, int], Row]:
        w, s = sensor_windows.c, sensors.c
        query = sa.select(s.Device, s.Tag, w.TS, w.Readings, w.Minimum, w.Maximum, w.Total, w.SumOfSquares).join_from(
            sensor_windows, sensors, s.SensorId == w.SensorId
        )
        with self._reader.connect() as connection:
            return {(row[0], row[1], row[2]): tuple(row[3:]) for row in connection.execute(query)}

    def counts(self) -> dict[str, IngestCounts]:
        return {status.partition.partition_id: status.counts for status in self.open().ingest_status()}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("store"))
    yield database
    database.dispose()


class KilledError(Exception):
    """The process ended here."""


class Process:
    """A consumer in a process of its own: its store, and all that it remembers, end with it."""

    def __init__(self, database: Database, letters: FakeDeadLetters) -> None:
        self._database = database
        self._letters = letters
        self.start()

    def start(self) -> None:
        self.store = self._database.open()
        self._step = Ingest(_Watched(self.store, self), self._letters, RULES)
        self.before_commit: Callable[[], object] = lambda: None
        self.after_commit: Callable[[], object] = lambda: None

    def __call__(self, partition_id: str, events: Sequence[RawEvent]) -> IngestCounts:
        return self._step(Partition("readings", "$Default", partition_id), events)

    def kill_at_statement(self, number: int) -> None:
        """Die before the SQL statement of this number, from 0, in whatever transaction it is."""
        fuse = iter(range(number + 1))

        def burn(*_: object) -> None:
            if next(fuse, None) == number:
                raise KilledError

        sa.event.listen(_engine(self.store), "before_cursor_execute", burn)

    def kill_at_commit(self) -> None:
        """Die when all of a transaction that has written is done but the commit."""

        def die() -> None:
            sa.event.listen(_engine(self.store), "commit", _killed)

        self.before_commit = die


class _Watched:
    """The store's part that the step needs, with something to do around each commit."""

    def __init__(self, store: SqlStore, process: Process) -> None:
        self._store = store
        self._process = process

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        return self._store.sensor_ids(keys)

    def last_windows(self, sensor_ids: Collection[int]) -> dict[int, int]:
        return self._store.last_windows(sensor_ids)

    def planned_until(self, sensor_ids: Collection[int]) -> dict[int, int]:
        return self._store.planned_until(sensor_ids)

    def offset_checkpoint(self, partition: Partition) -> OffsetCheckpoint | None:
        return self._store.offset_checkpoint(partition)

    def commit_ingest(
        self,
        partition: Partition,
        expected: OffsetCheckpoint | None,
        mark: OffsetCheckpoint,
        windows: Sequence[Window],
        counts: IngestCounts,
    ) -> None:
        self._process.before_commit()
        self._store.commit_ingest(partition, expected, mark, windows, counts)
        self._process.after_commit()

    def ingest_status(self) -> list[PartitionStatus]:
        return self._store.ingest_status()


def _engine(store: SqlStore) -> sa.Engine:
    return store._database.engine


def _killed(*_: object) -> None:
    raise KilledError


def body(device: str, seconds: float, value: float) -> bytes:
    moment = NOON + timedelta(seconds=seconds)
    return json.dumps({"TS": moment.isoformat(), "Device": device, "Tag": "t", "Value": value}).encode()


values = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@st.composite
def streams(draw: st.DrawFn, devices: Sequence[str]) -> list[RawEvent]:
    """Return a partition's events in the hub's order; half-way the hub may be created again."""
    element = st.just(b"7") | st.builds(body, st.sampled_from(devices), st.integers(-200, 200), values)
    elements = draw(st.lists(st.lists(element, min_size=1, max_size=3), max_size=14))
    created_at = draw(st.integers(0, len(elements)))
    bodies = [draw(st.sampled_from([array, lines]))(parts) for parts in elements]
    old = [
        RawEvent(number, NOON + timedelta(seconds=number // 3), text) for number, text in enumerate(bodies[:created_at])
    ]
    return old + [
        RawEvent(number, ANEW + timedelta(seconds=number // 3), text) for number, text in enumerate(bodies[created_at:])
    ]


def array(elements: Sequence[bytes]) -> bytes:
    return b"[" + b", ".join(elements) + b"]"


def lines(elements: Sequence[bytes]) -> bytes:
    return array(elements) if b"7" in elements else b"\n".join(elements) + b"\n"


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_crashes_rivals_redelivery_and_a_hub_created_again_change_no_number(
    database: Database, data: st.DataObject
) -> None:
    database.clear()
    letters = FakeDeadLetters()
    processes = [Process(database, letters), Process(database, letters)]
    events = {partition: data.draw(streams(devices)) for partition, devices in PARTITIONS.items()}
    checkpoints = dict.fromkeys(events, 0)
    faults = 8
    while open_ones := [key for key in events if checkpoints[key] < len(events[key])]:
        partition = data.draw(st.sampled_from(open_ones))
        process = data.draw(st.sampled_from(processes))
        rival = processes[1 - processes.index(process)]
        first, stream = checkpoints[partition], events[partition]
        # The client's connection ends with the hub: no batch holds events of two.
        created = next((at for at, event in enumerate(stream) if event.enqueued_time >= ANEW), 0)
        upto = data.draw(st.integers(first + 1, created if first < created else len(stream)))
        batch = stream[first:upto]
        fault = data.draw(st.sampled_from(FAULTS)) if faults else ""
        faults -= bool(fault)
        if fault == "statement":
            process.kill_at_statement(data.draw(st.integers(0, 9)))
        elif fault == "commit":
            process.kill_at_commit()
        elif fault == "after":
            process.after_commit = _killed
        elif fault == "overtaken":
            process.before_commit = Once(rival, partition, batch[: data.draw(st.integers(1, len(batch)))])
        try:
            process(partition, data.draw(st.permutations(batch)))
        except KilledError:
            process.start()
            continue
        finally:
            process.before_commit = process.after_commit = lambda: None
        checkpoints[partition] = upto if fault != "lost" else data.draw(st.integers(first, upto))
        if fault == "statement":
            process.start()

    expected = reference(
        ((partition, event) for partition, stream in events.items() for event in stream), lateness_seconds=LATENESS
    )
    assert_windows(database.windows(), expected)
    found = database.counts()
    assert found.keys() == {partition for partition, stream in events.items() if stream}
    for partition, counts in found.items():
        wanted = expected.counts[partition]
        assert (counts.accepted, counts.late, counts.invalid) == (wanted.accepted, wanted.late, wanted.invalid)
        assert counts.received == counts.accepted + counts.late + counts.duplicate + counts.invalid
    assert {
        (x.partition.partition_id, x.sequence_number, x.enqueued_time, x.index) for x in letters.letters.values()
    } == expected.rejected.keys()


class Once:
    """Lets a rival take events in, the first time it is called."""

    def __init__(self, rival: Process, partition: str, events: Sequence[RawEvent]) -> None:
        self._pending = [(partition, events)]
        self._rival = rival

    def __call__(self) -> None:
        while self._pending:
            self._rival(*self._pending.pop())


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_order_within_the_lateness_gives_the_windows_of_the_readings_in_order(
    database: Database, data: st.DataObject
) -> None:
    database.clear()
    drawn = st.tuples(st.sampled_from(["a", "b"]), st.integers(1, LATENESS - 5), values)
    readings = data.draw(st.lists(drawn, min_size=1, max_size=40))
    shuffled = data.draw(st.permutations(readings))
    events = [RawEvent(number, NOON, body(*reading)) for number, reading in enumerate(shuffled)]
    process = Process(database, FakeDeadLetters())
    while events:
        size = data.draw(st.integers(1, len(events)))
        process("0", data.draw(st.permutations(events[:size])))
        events = events[size:]
    in_order = sorted(readings, key=lambda reading: reading[1])
    expected = reference(("0", RawEvent(number, NOON, body(*x))) for number, x in enumerate(in_order))
    assert_windows(database.windows(), expected)
    assert database.counts()["0"] == IngestCounts(len(readings), len(readings), 0, 0, 0)


@settings(deadline=None, max_examples=150)
@given(bodies=st.lists(st.binary(max_size=60) | mutated_bodies(), min_size=1, max_size=8))
def test_whatever_a_body_holds_it_is_accounted_for_and_a_second_delivery_changes_nothing(
    database: Database, bodies: list[bytes]
) -> None:
    database.clear()
    letters = FakeDeadLetters()
    process = Process(database, letters)
    events = [RawEvent(number, NOON, text) for number, text in enumerate(bodies)]

    counts = process("0", events)

    assert counts.received == counts.accepted + counts.late + counts.invalid >= len(bodies)
    assert len(letters.letters) == counts.late + counts.invalid
    assert all(letter.body == bodies[letter.sequence_number] for letter in letters.letters.values())
    windows = database.windows()
    assert sum(readings for readings, *_ in windows.values()) == counts.accepted
    assert process("0", events) == IngestCounts(counts.received, 0, 0, counts.received, 0)
    assert database.windows() == windows


def test_a_consumer_that_finds_the_database_away_loses_nothing(database: Database) -> None:
    database.clear()
    process = Process(database, FakeDeadLetters())

    def away() -> None:
        raise TransientError("the database is away")

    process.before_commit = away
    with suppress(TransientError):
        process("0", [RawEvent(0, NOON, body("a", 1, 1.0))])
    assert database.windows() == {}
    process.before_commit = lambda: None
    assert process("0", [RawEvent(0, NOON, body("a", 1, 1.0))]).accepted == 1
