"""The unmodified Event Hubs SDK against the broker's own process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from azure.eventhub import EventData, EventDataBatch, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.aio import EventHubConsumerClient as AsyncConsumerClient
from azure.eventhub.aio import EventHubProducerClient as AsyncProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.eventhub.exceptions import ConnectError, ConnectionLostError, EventDataSendError

from local.eventhubs.partition_key import partition_of_key

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

pytestmark = pytest.mark.wire

_Result = TypeVar("_Result")
_LIMIT_SECONDS = 20
_HUBS = {"order": 1, "keys": 2, "about": 2, "selectors": 1, "shared": 1, "epochs": 1, "large": 1, "bad": 1}


class Broker:
    """A broker in a process of its own, on a port that it chose itself."""

    def __init__(self, data: Path, *arguments: str, port: int = 0) -> None:
        command = (
            sys.executable,
            "-m",
            "local.eventhubs",
            "--port",
            str(port),
            "--data",
            str(data),
            "--exit-with-parent",
        )
        self.process = subprocess.Popen(
            (*command, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        self.port = int(self.ready.split("127.0.0.1:")[1].split(":")[0]) if self.ready else port

    def connection(self, hub: str) -> str:
        endpoint = f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName=name;SharedAccessKey=key"
        return f"{endpoint};UseDevelopmentEmulator=true;EntityPath={hub}"

    def producer(self, hub: str) -> EventHubProducerClient:
        return EventHubProducerClient.from_connection_string(self.connection(hub), retry_total=0)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Stop the process, wait for it and give what it wrote to standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.communicate(timeout=5)[1]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    hubs = [argument for name, size in _HUBS.items() for argument in ("--hub", f"{name}:{size}")]
    broker = Broker(tmp_path_factory.mktemp("event-hubs"), *hubs, "--consumer-group", "second")
    yield broker
    broker.stop()


class Reader:
    """One consumer of one partition, running beside the test."""

    def __init__(self, broker: Broker, hub: str, group: str = "$Default", **options: Any) -> None:
        self.events: list[Any] = []
        self.errors: list[Exception] = []
        self._changed = asyncio.Event()
        self._client = AsyncConsumerClient.from_connection_string(
            broker.connection(hub), consumer_group=group, retry_total=0, load_balancing_interval=0.2
        )
        settings: dict[str, Any] = {"partition_id": "0", "starting_position": "-1", "max_wait_time": 0.1} | options
        self._task = asyncio.create_task(
            self._client.receive_batch(self._on_events, on_error=self._on_error, **settings)
        )

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(_LIMIT_SECONDS):
            while not done():
                self._changed.clear()
                await self._changed.wait()

    def leave(self) -> None:
        self._closing = asyncio.create_task(self._client.close())

    async def _on_events(self, context: Any, events: list[Any]) -> None:
        self.events += events
        self._changed.set()

    async def _on_error(self, context: Any, error: Exception) -> None:
        self.errors.append(error)
        self._changed.set()


class Stage:
    """Runs a test's consumers; what they need to close goes on beside the tests that follow.

    The SDK sleeps for up to two seconds in closing a consumer: nobody waits for it here.
    """

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._readers: list[Reader] = []

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return self._runner.run(work)

    def reader(self, broker: Broker, hub: str, group: str = "$Default", **options: Any) -> Reader:
        self._readers.append(Reader(broker, hub, group, **options))
        return self._readers[-1]

    def received(self, broker: Broker, hub: str, count: int, **options: Any) -> list[Any]:
        async def receive() -> list[Any]:
            reader = self.reader(broker, hub, **options)
            await reader.until(lambda: len(reader.events) >= count or reader.errors)
            assert reader.errors == []
            return reader.events

        return self.run(receive())

    async def leave(self) -> None:
        for reader in self._readers:
            reader.leave()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def stage(runner: asyncio.Runner) -> Iterator[Stage]:
    stage = Stage(runner)
    yield stage
    stage.run(stage.leave())


def _send(producer: EventHubProducerClient, bodies: list[bytes], **options: Any) -> None:
    producer.send_batch([EventData(body) for body in bodies], **options)


def _bodies(events: list[Any]) -> list[bytes]:
    return [b"".join(event.body) for event in events]


def _has_at_least(reader: Reader, count: int) -> bool:
    return len(reader.events) >= count


def _has_come_to(reader: Reader, sequence: int) -> bool:
    return bool(reader.events) and reader.events[-1].sequence_number == sequence


def test_events_arrive_in_the_order_sent_with_all_that_was_on_them(broker: Broker) -> None:
    with broker.producer("order") as producer:
        rich = EventData(b"rich")
        rich.properties = {"device": "press-1", "number": 7}
        rich.content_type, rich.correlation_id, rich.message_id = "application/json", "c-1", "m-1"
        noted = AmqpAnnotatedMessage(data_body=[b"noted"], annotations={"x-note": "kept"})
        valued = AmqpAnnotatedMessage(value_body={"a": 1})
        producer.send_event(rich)
        producer.send_event(noted)
        producer.send_event(valued)
        batches = 0
        number = 0
        while number < 3000:
            batch: EventDataBatch = producer.create_batch(max_size_in_bytes=20_000)
            with contextlib.suppress(ValueError):
                while number < 3000:
                    batch.add(EventData(b"%d" % number))
                    number += 1
            producer.send_batch(batch)
            batches += 1
    assert batches > 1
    before = datetime.now(UTC)

    events: list[Any] = []
    consumer = EventHubConsumerClient.from_connection_string(broker.connection("order"), "$Default")

    def on_batch(context: Any, received: list[Any]) -> None:
        events.extend(received)
        if len(events) >= 3003:
            consumer.close()

    with consumer:
        consumer.receive_batch(on_batch, partition_id="0", starting_position="-1", max_batch_size=500, prefetch=900)

    assert [event.sequence_number for event in events] == list(range(3003))
    assert _bodies(events[3:]) == [b"%d" % number for number in range(3000)]
    offsets = [int(event.offset or -1) for event in events]
    assert offsets == sorted(set(offsets))
    assert all(event.enqueued_time is not None and event.enqueued_time <= before for event in events)
    first, second, third = events[:3]
    assert first.properties == {b"device": b"press-1", b"number": 7}
    assert (first.content_type, first.correlation_id, first.message_id) == ("application/json", "c-1", "m-1")
    assert second.raw_amqp_message.annotations[b"x-note"] == b"kept"
    assert third.raw_amqp_message.body_type is AmqpMessageBodyType.VALUE
    assert third.raw_amqp_message.body == {b"a": 1}


def test_a_key_chooses_the_partition_and_events_without_one_go_round(broker: Broker, stage: Stage) -> None:
    with broker.producer("keys") as producer:
        for _ in range(2):
            _send(producer, [b"in turn"])
        counts = [
            producer.get_partition_properties(str(number))["last_enqueued_sequence_number"] for number in range(2)
        ]
        assert counts == [0, 0]
        _send(producer, [b"batch"], partition_key="press-7")
        producer.send_event(EventData(b"single"), partition_key="press-7")
        _send(producer, [b"placed"], partition_id="1")
    chosen = partition_of_key("press-7", 2)
    expected = [b"in turn", b"batch", b"single"] + ([b"placed"] if chosen == 1 else [])
    events = stage.received(broker, "keys", len(expected), partition_id=str(chosen))
    assert _bodies(events) == expected
    assert [event.partition_key for event in events[:3]] == [None, b"press-7", b"press-7"]


def test_the_hub_describes_its_partitions_and_consumers_may_ask_with_each_event(broker: Broker, stage: Stage) -> None:
    with broker.producer("about") as producer:
        hub = producer.get_eventhub_properties()
        assert (hub["eventhub_name"], hub["partition_ids"]) == ("about", ["0", "1"])
        assert abs((datetime.now(UTC) - hub["created_at"]).total_seconds()) < 300
        empty = producer.get_partition_properties("0")
        assert (empty["is_empty"], empty["last_enqueued_sequence_number"], empty["last_enqueued_offset"]) == (
            True,
            -1,
            "-1",
        )
        _send(producer, [b"a", b"b"], partition_id="0")
        filled = producer.get_partition_properties("0")
        assert (filled["is_empty"], filled["beginning_sequence_number"]) == (False, 0)
        assert filled["last_enqueued_sequence_number"] == 1
    events = stage.received(broker, "about", 2, track_last_enqueued_event_properties=True)
    last = events[-1]
    assert (last.offset, last.enqueued_time) == (filled["last_enqueued_offset"], filled["last_enqueued_time_utc"])
    told = events[0]._message.delivery_annotations
    assert told[b"last_enqueued_sequence_number"] == 1
    assert told[b"last_enqueued_offset"].decode() == last.offset


def test_a_consumer_begins_where_its_selector_says(broker: Broker, stage: Stage) -> None:
    with broker.producer("selectors") as producer:
        for body in (b"0", b"1", b"2", b"3"):
            _send(producer, [body])
            wait_past = time.time_ns() // 1_000_000
            while time.time_ns() // 1_000_000 <= wait_past:
                pass
    all_events = stage.received(broker, "selectors", 4)
    middle = all_events[1]
    positions: list[tuple[Any, bool, list[bytes]]] = [
        (middle.sequence_number, False, [b"2", b"3"]),
        (middle.sequence_number, True, [b"1", b"2", b"3"]),
        (middle.offset, False, [b"2", b"3"]),
        (middle.offset, True, [b"1", b"2", b"3"]),
        (middle.enqueued_time, False, [b"2", b"3"]),
        (middle.enqueued_time, True, [b"1", b"2", b"3"]),
        ("-1", False, [b"0", b"1", b"2", b"3"]),
    ]

    async def receive() -> list[list[bytes]]:
        readers = [
            stage.reader(
                broker,
                "selectors",
                "second" if number > 3 else "$Default",
                starting_position=at,
                starting_position_inclusive=inclusive,
            )
            for number, (at, inclusive, _) in enumerate(positions)
        ]
        for reader, (_, _, expected) in zip(readers, positions, strict=True):
            await reader.until(partial(_has_at_least, reader, len(expected)))
        return [_bodies(reader.events) for reader in readers]

    assert stage.run(receive()) == [expected for _, _, expected in positions]


def test_consumers_without_an_epoch_share_and_latest_means_from_now_on(broker: Broker, stage: Stage) -> None:
    async def share() -> None:
        async with AsyncProducerClient.from_connection_string(broker.connection("shared")) as producer:
            await producer.send_batch([EventData(b"before")])
            readers = [stage.reader(broker, "shared", starting_position=at) for at in ("-1", "-1", "@latest")]
            await readers[0].until(lambda: readers[0].events)
            await readers[1].until(lambda: readers[1].events)
            number = 0
            # The last one's start is known only by what it gets: send until it has begun.
            while not readers[2].events:
                await producer.send_batch([EventData(b"after %d" % number)])
                number += 1
            last = (await producer.get_partition_properties("0"))["last_enqueued_sequence_number"]
            for reader in readers:
                await reader.until(partial(_has_come_to, reader, last))
            assert [reader.errors for reader in readers] == [[], [], []]
            assert _bodies(readers[0].events) == _bodies(readers[1].events)
            assert b"before" not in _bodies(readers[2].events)
            assert _bodies(readers[2].events) == _bodies(readers[0].events)[-len(readers[2].events) :]

    stage.run(share())


def test_a_higher_or_equal_epoch_takes_over_and_a_lower_one_or_none_is_refused(broker: Broker, stage: Stage) -> None:
    async def fight() -> None:
        async with AsyncProducerClient.from_connection_string(broker.connection("epochs")) as producer:
            await producer.send_batch([EventData(b"a")])
        holder = stage.reader(broker, "epochs", owner_level=5)
        await holder.until(lambda: holder.events)
        lower = stage.reader(broker, "epochs", owner_level=4)
        plain = stage.reader(broker, "epochs")
        elsewhere = stage.reader(broker, "epochs", "second")
        await lower.until(lambda: lower.errors)
        await plain.until(lambda: plain.errors)
        await elsewhere.until(lambda: elsewhere.events)
        assert holder.errors == []
        assert (lower.events, plain.events) == ([], [])
        thief = stage.reader(broker, "epochs", owner_level=5)
        await thief.until(lambda: thief.events)
        await holder.until(lambda: holder.errors)
        for loser in (holder, lower, plain):
            assert isinstance(loser.errors[0], ConnectionLostError)
            assert "amqp:link:stolen" in str(loser.errors[0])

    stage.run(fight())


def test_messages_of_many_frames_pass_both_ways_and_too_large_ones_are_refused(broker: Broker, stage: Stage) -> None:
    large = [bytes([number]) * 900_000 for number in range(5)]
    with broker.producer("large") as producer:
        for body in large:
            producer.send_event(EventData(body))
        with pytest.raises(EventDataSendError, match="LinkMessageSizeExceeded"):
            producer.send_event(EventData(b"x" * 1_100_000))
        producer.send_event(EventData(b"still open"))
    assert _bodies(stage.received(broker, "large", 6, prefetch=2)) == [*large, b"still open"]


def test_a_missing_entity_is_named_in_the_error(broker: Broker, stage: Stage) -> None:
    with broker.producer("nowhere") as producer, pytest.raises(ConnectError, match="no hub `nowhere`"):
        producer.get_eventhub_properties()

    async def receive() -> str:
        reader = stage.reader(broker, "bad", "nobody")
        await reader.until(lambda: reader.errors)
        return str(reader.errors[0])

    error = stage.run(receive())
    assert "amqp:not-found" in error
    assert "has the consumer groups $Default, second, not `nobody`" in error


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="another protocol"),
        pytest.param(b"AMQP\x00\x01\x00\x00" + b"\xff" * 64, id="a frame of four gigabytes"),
        pytest.param(b"AMQP\x00\x01\x00\x00" + b"\x00\x00\x00\x10\x02\x00\x00\x00" + b"\xc0" * 8, id="no performative"),
    ],
)
def test_malformed_input_closes_its_own_connection_only(broker: Broker, garbage: bytes) -> None:
    with broker.producer("bad") as producer:
        producer.send_event(EventData(b"before"))
        with socket.create_connection(("127.0.0.1", broker.port), timeout=_LIMIT_SECONDS) as wrong:
            wrong.sendall(garbage)
            answer = b""
            while chunk := wrong.recv(4096):
                answer += chunk
            assert answer.startswith(b"AMQP")
        producer.send_event(EventData(b"after"))


def test_a_killed_broker_loses_nothing_and_old_offsets_go_on(tmp_path: Path, stage: Stage) -> None:
    broker = Broker(tmp_path, "--hub", "readings:1")
    try:
        with broker.producer("readings") as producer:
            _send(producer, [b"%d" % number for number in range(50)])
        first = stage.received(broker, "readings", 50)
        broker.stop(signal.SIGKILL)
        log = tmp_path / "readings" / "partition-0.log"
        with log.open("ab") as torn:
            torn.write(log.read_bytes()[16:30])
        broker = Broker(tmp_path, "--hub", "readings:1", port=broker.port)
        with broker.producer("readings") as producer:
            _send(producer, [b"new"])
        rest = stage.received(broker, "readings", 10, starting_position=first[40].offset)
        assert _bodies(rest) == [b"%d" % number for number in range(41, 50)] + [b"new"]
        assert [event.sequence_number for event in rest] == list(range(41, 51))
        assert [event.enqueued_time for event in rest[:9]] == [event.enqueued_time for event in first[41:]]
    finally:
        assert "removed the last 14 bytes" in broker.stop()


def test_a_hub_that_was_created_again_starts_at_zero_with_newer_times_and_ignores_old_checkpoints(
    tmp_path: Path, stage: Stage
) -> None:
    seen: list[Any] = []
    for run in ("one", "two"):
        broker = Broker(tmp_path / run, "--hub", "readings:1")
        try:
            with broker.producer("readings") as producer:
                _send(producer, [b"a", b"b"])
            start = seen[-1].offset if seen else "-1"
            seen += stage.received(broker, "readings", 2, starting_position=start)
        finally:
            broker.stop()
    assert [event.sequence_number for event in seen] == [0, 1, 0, 1]
    assert seen[2].enqueued_time > seen[1].enqueued_time


def test_the_broker_stops_at_once_though_clients_hang_on(tmp_path: Path) -> None:
    broker = Broker(tmp_path, "--hub", "readings:1")
    assert broker.ready.startswith(f"Event Hubs broker on 127.0.0.1:{broker.port}")
    with broker.producer("readings") as producer:
        _send(producer, [b"a"])
        # Fails by its limit should the broker wait for its clients.
        errors = broker.stop()
        assert broker.process.returncode == 0
    assert "Traceback" not in errors


def test_the_broker_ends_with_its_parent(tmp_path: Path) -> None:
    broker = Broker(tmp_path, "--hub", "readings:1")
    assert broker.process.stdin is not None
    broker.process.stdin.close()
    assert broker.process.wait(5) == 0
    broker.process.stdin = None
    broker.stop()


def test_a_port_or_a_folder_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "one", "--hub", "readings:2")
    try:
        same_port = Broker(tmp_path / "two", "--hub", "readings:1", port=broker.port)
        message = same_port.stop()
        assert (same_port.process.returncode, message.count("\n")) == (3, 1)
        assert f"port {broker.port}" in message
        same_folder = Broker(tmp_path / "one", "--hub", "readings:2")
        message = same_folder.stop()
        assert (same_folder.process.returncode, message.count("\n")) == (4, 1)
        assert "another broker" in message
    finally:
        broker.stop()
    smaller = Broker(tmp_path / "one", "--hub", "readings:1")
    assert "can't shrink" in smaller.stop()
    assert smaller.process.returncode == 4
