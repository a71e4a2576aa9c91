from __future__ import annotations

import json
from collections.abc import Callable
from itertools import accumulate
from typing import Any, cast

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.exceptions import AuthenticationError, ConnectionLostError
from fakes.clock import FakeSeconds
from telemetry_memory import telemetry_in_memory

from sensorwatch.errors import InvalidInputError, SettingsError, TransientError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND
from sensorwatch.ingestion.records import Reading
from sensorwatch.ingestion.sender import EventHubSender, open_sender


class MemoryBatch:
    def __init__(self, key: str, limit: int) -> None:
        self.key = key
        self.max_size_in_bytes = limit
        self.bodies: list[bytes] = []

    def add(self, event: EventData) -> None:
        body = b"".join(cast("Any", event.body))
        if sum(map(len, self.bodies)) + len(body) > self.max_size_in_bytes:
            raise ValueError("full")
        self.bodies.append(body)


class MemoryClient:
    """Takes the place of the producer client where sizes, time or faults are the matter."""

    def __init__(self, limit: int = 100_000, on_send: Callable[[int], None] = lambda number: None) -> None:
        self.limit = limit
        self.batches: list[MemoryBatch] = []
        self.closed = False
        self._on_send = on_send

    def create_batch(self, *, partition_key: str) -> MemoryBatch:
        return MemoryBatch(partition_key, self.limit)

    def send_batch(self, batch: MemoryBatch) -> None:
        self._on_send(len(self.batches))
        self.batches.append(batch)

    def close(self) -> None:
        self.closed = True


def sender_to(client: MemoryClient, clock: FakeSeconds | None = None) -> EventHubSender:
    clock = clock or FakeSeconds(50.0)
    return EventHubSender(cast("EventHubProducerClient", client), monotonic=clock, sleep=clock.sleep)


def reading(seconds: float, device: str = "press-1", tag: str = "4", value: float = 1.0) -> Reading:
    return Reading(device, tag, round(seconds * TICKS_PER_SECOND), value)


def test_the_message_is_that_of_the_original_simulator() -> None:
    client = MemoryClient()
    sender_to(client).send([Reading("2", "4", 15_230_483_957_096_564, 84.92)])
    assert client.batches[0].bodies == [
        b'{"TS": "2018-04-06T20:59:55.7096564Z", "Device": 2, "Tag": 4, "Value": 84.92}'
    ]


def test_batches_belong_to_one_device_and_stay_within_the_limit() -> None:
    client = MemoryClient(limit=500)
    readings = [reading(number, device) for number in range(20) for device in ("a", "b")]
    sent: list[int] = []
    assert sender_to(client).send(readings, progress=sent.append) == 40
    assert {batch.key for batch in client.batches} == {"a", "b"}
    for device in ("a", "b"):
        bodies = [body for batch in client.batches if batch.key == device for body in batch.bodies]
        assert [json.loads(body)["TS"][17:19] for body in bodies] == [f"{number:02}" for number in range(20)]
    assert sent[-1] == 40
    assert sent == sorted(sent)


def test_several_readings_of_a_device_share_an_event() -> None:
    client = MemoryClient()
    readings = [reading(number, device) for number in range(5) for device in ("a", "b")]
    assert sender_to(client).send(readings, readings_per_event=3) == 10
    sizes = [len(parsed) if isinstance(parsed, list) else 1 for parsed in map(json.loads, bodies_of(client))]
    assert sizes == [3, 2, 3, 2]


def test_waiting_readings_are_bounded() -> None:
    client = MemoryClient(limit=10**9)

    def readings() -> Any:
        for number in range(25_000):
            yield reading(number, f"d{number % 100}")
            assert number < 24_999 or len(client.batches) == 100

    assert sender_to(client).send(readings()) == 25_000


def test_an_event_beyond_the_hubs_limit_is_named() -> None:
    with pytest.raises(InvalidInputError, match="9 readings of press-1 exceeds the hub's limit of 100 bytes"):
        sender_to(MemoryClient(limit=100)).send([reading(0)] * 9, readings_per_event=9)


@pytest.mark.parametrize(("speed", "duration"), [(1.0, 60.0), (10.0, 6.0), (600.0, 0.0)])
def test_speed_is_a_multiple_of_the_readings_own_time(speed: float, duration: float) -> None:
    clock = FakeSeconds(50.0)
    client = MemoryClient(on_send=lambda number: None)
    sender_to(client, clock).send([reading(7_000 + second) for second in range(61)], speed=speed)
    assert clock.seconds - 50.0 == pytest.approx(duration, abs=0.2)


def test_readings_that_are_due_are_sent_before_waiting() -> None:
    clock = FakeSeconds(50.0)
    times: list[float] = []
    client = MemoryClient(on_send=lambda number: times.append(clock.seconds))
    sender_to(client, clock).send([reading(0), reading(0.1), reading(5), reading(9)], speed=1.0, readings_per_event=10)
    assert times == pytest.approx([50.0, 55.0, 59.0])


def test_without_speed_nothing_waits() -> None:
    clock = FakeSeconds(50.0)
    sender_to(MemoryClient(), clock).send([reading(0), reading(9e6)])
    assert clock.sleeps == []


def test_a_lost_connection_says_how_many_readings_had_been_sent() -> None:
    def lose(number: int) -> None:
        if number == 1:
            raise ConnectionLostError("the link was detached\nmore")

    with pytest.raises(TransientError, match="the link was detached; 1 readings had been sent"):
        sender_to(MemoryClient(on_send=lose)).send([reading(0, "a"), reading(0, "b")])


def test_refused_access_is_a_matter_of_settings() -> None:
    def refuse(number: int) -> None:
        raise AuthenticationError("put token failed")

    with pytest.raises(
        SettingsError, match=r"put token failed; check EventHub, or give .* `Azure Event Hubs Data Sender`"
    ):
        sender_to(MemoryClient(on_send=refuse)).send([reading(0)])


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_an_invalid_speed_is_refused(speed: float) -> None:
    with pytest.raises(InvalidInputError, match="speed must be above 0"):
        sender_to(MemoryClient()).send([reading(0)], speed=speed)


def test_fewer_than_one_reading_an_event_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="readings_per_event must be at least 1, got `0`"):
        sender_to(MemoryClient()).send([reading(0)], readings_per_event=0)


def test_leaving_the_sender_closes_its_client() -> None:
    client = MemoryClient()
    with sender_to(client):
        pass
    assert client.closed


def test_missing_or_unusable_settings_are_named_without_their_text() -> None:
    with pytest.raises(SettingsError, match="EventHub: missing"):
        open_sender(None, None, "readings")
    with pytest.raises(SettingsError, match="EventHub: expected a connection string") as caught:
        open_sender("hunter2", None, "readings")
    assert "hunter2" not in str(caught.value)


def bodies_of(client: MemoryClient) -> list[bytes]:
    return [body for batch in client.batches for body in batch.bodies]


def test_events_carry_the_context_of_a_span_that_says_which_readings_they_are() -> None:
    class Batch(MemoryBatch):
        def add(self, event: EventData) -> None:
            super().add(event)
            traceparents.append((event.properties or {})["traceparent"])

    class Client(MemoryClient):
        def create_batch(self, *, partition_key: str) -> MemoryBatch:
            return Batch(partition_key, self.limit)

    traceparents: list[Any] = []
    with telemetry_in_memory() as memory:
        sender_to(Client(limit=60 * 70)).send([reading(number) for number in range(120)])
    spans = memory.spans("send")
    carried = [sum(f"{span.context.span_id:016x}" in text for text in traceparents) for span in spans]
    about = [span.attributes or {} for span in spans]
    assert carried == [each["sensorwatch.readings"] for each in about]
    assert sum(carried) == len(traceparents) == 120
    assert max(carried) == 50
    ticks = [(each["sensorwatch.ticks.first"], each["sensorwatch.ticks.last"]) for each in about]
    ends = list(accumulate(carried))
    assert ticks == [
        ((end - number) * TICKS_PER_SECOND, (end - 1) * TICKS_PER_SECOND)
        for end, number in zip(ends, carried, strict=True)
    ]


def test_events_carry_nothing_where_nothing_is_traced() -> None:
    class Batch(MemoryBatch):
        def add(self, event: EventData) -> None:
            super().add(event)
            assert not event.properties

    class Client(MemoryClient):
        def create_batch(self, *, partition_key: str) -> MemoryBatch:
            return Batch(partition_key, self.limit)

    assert sender_to(Client()).send([reading(0)]) == 1
