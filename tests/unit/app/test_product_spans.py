"""Spans and metrics of the use cases, with a real store on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes.alerts import FakeSink
from fakes.ingestion import FakeDeadLetters
from fakes.scheduling import FakePool
from fakes.tasks import FakePredictionFiles
from telemetry_memory import MemoryTelemetry, telemetry_in_memory

from functions.events import senders
from sensorwatch.alerts.records import Alert, AlertChanges, AlertState, Notification
from sensorwatch.app import Product
from sensorwatch.errors import TransientError
from sensorwatch.ingestion.records import Partition, RawEvent
from sensorwatch.settings import load_settings
from sensorwatch.telemetry import span

NOW = datetime(2026, 11, 20, 10, 15, 40, tzinfo=UTC)
PARTITION = Partition("readings", "$Default", "3")
SENDER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class System:
    """The product on an empty database, with what would need a network replaced."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        values = {"DATABASE_URL": f"sqlite:///{folder}/sensorwatch.db", "TELEMETRY_EXPORTER": "file"}
        self.product = Product(load_settings(values), lambda: self.now)
        self.pool, self.sink = FakePool(lambda: self.now, succeeds=True), FakeSink()
        self.product.__dict__.update(
            dead_letters=FakeDeadLetters(), pool=self.pool, sinks=(self.sink,), prediction_files=FakePredictionFiles()
        )

    def ingest(self, *bodies: bytes, seconds_ago: float = 4.0) -> None:
        enqueued = NOW - timedelta(seconds=seconds_ago)
        events = [RawEvent(number, enqueued, body) for number, body in enumerate(bodies)]
        self.product.ingest(PARTITION, events, [SENDER])


@pytest.fixture
def memory() -> Iterator[MemoryTelemetry]:
    with telemetry_in_memory() as recorded:
        yield recorded


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path)
    yield made
    made.product.store.dispose()


READING = b'{"TS": "2026-11-20T10:15:02Z", "Device": 1, "Tag": 1, "Value": 84.92}'


def test_a_batch_is_one_span_with_its_counts_its_lag_and_its_senders(memory: MemoryTelemetry, system: System) -> None:
    system.ingest(READING, READING, b"not json")
    system.ingest(READING, READING, b"not json")
    first, second = memory.spans("ingest")
    about = first.attributes or {}
    assert about["messaging.destination.partition.id"] == "3"
    assert (about["sensorwatch.readings.accepted"], about["sensorwatch.readings.invalid"]) == (2, 1)
    assert (second.attributes or {})["sensorwatch.readings.duplicate"] == 3
    assert [f"{link.context.span_id:016x}" for link in first.links] == ["b7ad6b7169203331"]
    totals = memory.totals()
    assert totals["sensorwatch.readings.received"] == 6
    assert totals["sensorwatch.readings.accepted"] == 2
    assert totals["sensorwatch.readings.duplicate"] == 3
    assert totals["sensorwatch.dead_letters"] == totals["sensorwatch.readings.invalid"] == 1
    assert memory.points()["sensorwatch.ingest.lag", ""].max == 4.0


def test_the_senders_of_a_batch_are_those_of_its_events_each_once(memory: MemoryTelemetry) -> None:
    found = [{"traceparent": SENDER}, {}, {"traceparent": SENDER}, {"Diagnostic-Id": "other"}, {"traceparent": 5}]
    event = SimpleNamespace(metadata={"PropertiesArray": found})
    assert senders(event) == [SENDER, "other"]  # type: ignore[arg-type]


def test_senders_are_not_looked_for_where_nothing_is_traced() -> None:
    assert senders(None) == []  # type: ignore[arg-type]


def test_a_submission_begins_the_trace_that_its_tasks_go_on_with(memory: MemoryTelemetry, system: System) -> None:
    system.ingest(READING)
    submission = system.product.submit_due("train")
    (submitted,) = memory.spans("submit train")
    assert (submitted.attributes or {})["sensorwatch.run"] == submission.run_id
    (traceparent,) = system.pool.traceparents
    assert traceparent is not None
    assert f"{submitted.context.span_id:016x}" in traceparent
    assert "sensorwatch.cycles.missed" not in memory.totals()


def test_a_cycle_is_missed_by_a_late_timer_a_failed_submission_and_a_failed_task(
    memory: MemoryTelemetry, system: System
) -> None:
    system.ingest(READING)
    system.pool.away = True
    with pytest.raises(TransientError):
        system.product.submit_due("train")
    system.pool.away, system.pool.succeeds = False, False
    system.product.submit_due("score", past_due=True)
    system.product.submit_due("train")
    assert system.product.sweep().failed_tasks == 1
    system.product.sweep()
    missed = {
        kind: point.value for (name, kind), point in memory.points().items() if name == "sensorwatch.cycles.missed"
    }
    assert missed == {"train": 2, "score": 1}


def test_a_sweep_says_what_is_wrong_with_pool_and_sinks(memory: MemoryTelemetry, system: System) -> None:
    def seen() -> tuple[float, float]:
        system.product.sweep()
        totals = memory.totals()
        return totals["sensorwatch.pool.errors"], totals["sensorwatch.sinks.failing"]

    assert seen() == (0, 0)
    system.pool.found = ["AllocationTimedout: ", "quota"]
    open_alert(system)
    system.sink.away = True
    for _ in range(3):
        system.product.notify()
        system.now += timedelta(minutes=11)
    assert seen() == (2, 1)
    system.pool.away, system.sink.away = True, False
    system.now += timedelta(minutes=11)
    assert seen() == (1, 0)


def test_a_notification_is_delivered_in_the_trace_in_which_it_arose(memory: MemoryTelemetry, system: System) -> None:
    with span("publish"):
        open_alert(system)
    system.product.notify()
    (published,), (delivered,) = memory.spans("publish"), memory.spans("deliver")
    assert delivered.parent is not None
    assert delivered.parent.span_id == published.context.span_id
    (message,) = system.sink.messages
    assert message.traceparent is not None
    assert f"{delivered.context.trace_id:032x}-{delivered.context.span_id:016x}" in message.traceparent
    assert memory.totals()["sensorwatch.alerts.opened"] == 1


def open_alert(system: System) -> None:
    """Store an opened alert of the first sensor, as publishing does, once its deliveries have a sink."""
    system.ingest(READING)
    system.product.notify()
    alert = Alert("0-5", 0, 5, 5, None, 1, 90.0, "high")
    changes = AlertChanges([AlertState(0, 5, (90.0,), alert)], [alert], [Notification("0-5:opened", "opened", alert)])
    system.product.store.publish([], [], [0], lambda _: changes)
