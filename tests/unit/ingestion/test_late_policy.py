"""Readings whose window scoring has passed: they correct it, or they are late, as the setting says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.ingestion import FakeDeadLetters

from sensorwatch.ingestion.decode import encode, ticks_of
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.records import Partition, RawEvent, Reading
from sensorwatch.store import SqlStore, open_store
from sensorwatch.tasks.records import Run, TaskSpec

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
PARTITION = Partition("hub", "group", "0")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10)
    yield opened
    opened.dispose()


def event(number: int, *seconds: int) -> RawEvent:
    readings = [Reading("1", "1", ticks_of(START + timedelta(seconds=s)), 1.0) for s in seconds]
    return RawEvent(
        number, START + timedelta(minutes=5, seconds=number), b"[" + b",".join(map(encode, readings)) + b"]"
    )


def plan_scoring(store: SqlStore, until: datetime) -> None:
    store.begin_run(Run("score-1", "score", until, (TaskSpec("score-1", "t", "score", 0, None, until),)), until)


@pytest.mark.parametrize("bodies", [(event(2, 20, 70),), (event(2, 20), event(3, 70))], ids=["array", "single"])
def test_update_corrects_a_window_that_scoring_has_passed_and_has_it_scored_again(
    store: SqlStore, bodies: Sequence[RawEvent]
) -> None:
    ingest = Ingest(store, letters := FakeDeadLetters(), IngestRules())
    ingest(PARTITION, [event(0, 20, 60)])
    plan_scoring(store, START + timedelta(seconds=60))
    assert sum(ingest(PARTITION, [body]).accepted for body in bodies) == 2
    assert store.read_windows(0, None, START + timedelta(hours=1)).count.tolist() == [2, 1, 1]
    assert len(store.read_rescore_windows(0, START + timedelta(hours=1)).end) == 1
    assert not list(letters.read())


@pytest.mark.parametrize("bodies", [(event(2, 20, 70),), (event(2, 20), event(3, 70))], ids=["array", "single"])
def test_drop_leaves_it_as_it_was_scored_and_keeps_the_reading_as_late(
    store: SqlStore, bodies: Sequence[RawEvent]
) -> None:
    ingest = Ingest(store, letters := FakeDeadLetters(), IngestRules(late_policy="drop"))
    ingest(PARTITION, [event(0, 20, 60)])
    plan_scoring(store, START + timedelta(seconds=60))
    counts = [ingest(PARTITION, [body]) for body in bodies]
    assert (sum(c.accepted for c in counts), sum(c.late for c in counts)) == (1, 1)
    assert store.read_windows(0, None, START + timedelta(hours=1)).count.tolist() == [1, 1, 1]
    assert len(store.read_rescore_windows(0, START + timedelta(hours=1)).end) == 0
    assert [(letter.reason, letter.index) for letter in letters.read()] == [("late", 0)]


def test_drop_takes_everything_before_any_scoring(store: SqlStore) -> None:
    ingest = Ingest(store, FakeDeadLetters(), IngestRules(late_policy="drop"))
    assert ingest(PARTITION, [event(0, 60, 20)]).accepted == 2
