"""Waiting for sent readings: ends with the last sent event, counts every reading, and says why some were rejected."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from fakes.ingestion import FakeDeadLetters, FakeIngestStore

from sensorwatch.errors import TransientError
from sensorwatch.ingestion.arrival import Rejection, SentEvents, ingest_counts, rejections, wait_until_ingested
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, RawEvent

HUB, GROUP = "readings", "$Default"
NOW = datetime(2026, 11, 20, 23, 59, 50, tzinfo=UTC)
ONE = Partition(HUB, GROUP, "0")


def event(number: int, body: str | None = None, *, seconds_ago: float = 0, at: datetime = NOW) -> RawEvent:
    taken = (at - timedelta(seconds=seconds_ago)).isoformat()
    reading = {"TS": taken, "Device": "press-1", "Tag": "flow", "Value": 1.5}
    return RawEvent(number, at, (body or json.dumps(reading)).encode())


class Hub:
    """Events that ingestion takes one by one, an event a pause."""

    def __init__(self) -> None:
        self.store, self.letters = FakeIngestStore(), FakeDeadLetters()
        self.waiting: list[tuple[Partition, RawEvent]] = []
        self.seconds = 0.0
        self._ingest = Ingest(self.store, self.letters, IngestRules(lateness_seconds=3600))

    def ingest(self, partition: Partition, each: RawEvent) -> None:
        self._ingest(partition, [each])

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if self.waiting:
            self.ingest(*self.waiting.pop(0))

    def wait(self, sent: SentEvents) -> IngestCounts:
        return wait_until_ingested(sent, self.store, monotonic=lambda: self.seconds, sleep=self.sleep)


def sent(hub: Hub, *, before: dict[str, OffsetCheckpoint], after: dict[str, OffsetCheckpoint]) -> SentEvents:
    return SentEvents(HUB, GROUP, NOW, ingest_counts(hub.store, HUB, GROUP), before, after)


def test_every_sent_reading_is_counted_and_every_rejected_one_explained() -> None:
    hub = Hub()
    hub.ingest(ONE, event(0, "not json"))
    later = NOW + timedelta(seconds=20)
    hub.waiting = [
        (ONE, event(1)),
        (ONE, event(2, seconds_ago=7200)),
        (ONE, event(3, "neither", at=later)),
        (ONE, event(4, "nor", at=later)),
        (Partition(HUB, GROUP, "1"), event(0, at=later)),
    ]
    events = sent(
        hub,
        before={"0": OffsetCheckpoint(0, NOW)},
        after={"0": OffsetCheckpoint(4, later), "1": OffsetCheckpoint(0, later)},
    )
    assert hub.wait(events) == IngestCounts(received=5, accepted=2, late=1, duplicate=0, invalid=2)
    # The letters are of two days, and the one of before is not among them.
    first, second = rejections(events, hub.letters)
    assert (first.reason, first.readings, second.reason, second.readings) == ("not-json", 2, "late", 1)
    assert all(isinstance(each, Rejection) and each.detail for each in (first, second))


def test_readings_of_another_sender_do_not_end_the_wait() -> None:
    hub = Hub()
    two = Partition(HUB, GROUP, "1")
    hub.waiting = [(two, event(number)) for number in range(3)] + [(ONE, event(7))]
    counts = hub.wait(sent(hub, before={}, after={"0": OffsetCheckpoint(7, NOW)}))
    assert counts.received == 4
    assert not hub.waiting


def test_a_hub_that_was_created_again_is_waited_for_though_its_numbers_are_lower() -> None:
    hub = Hub()
    hub.ingest(ONE, event(100))
    later = NOW + timedelta(hours=1)
    hub.waiting = [(ONE, event(0, at=later))]
    assert hub.wait(sent(hub, before={}, after={"0": OffsetCheckpoint(0, later)})).accepted == 1


def test_nothing_sent_is_ingested_at_once() -> None:
    hub = Hub()
    last = {"0": OffsetCheckpoint(5, NOW)}
    assert hub.wait(sent(hub, before=last, after=last)) == IngestCounts(0, 0, 0, 0, 0)
    assert rejections(sent(hub, before=last, after=last), hub.letters) == []


def test_wait_without_progress_ends_and_names_the_next_step() -> None:
    hub = Hub()
    hub.waiting = [(ONE, event(0))]
    with pytest.raises(TransientError, match=r"nothing was ingested for 60 s \(1 readings so far\).*--no-wait"):
        hub.wait(sent(hub, before={}, after={"0": OffsetCheckpoint(9, NOW)}))
    assert 60 < hub.seconds < 65
