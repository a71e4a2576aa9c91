"""Nothing is lost and nothing is doubled while host and broker are killed again and again under load.

The broker's log is the truth: sending is at-least-once, so what a sender repeats is an event of its own.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import EventHubError
from conftest import StackFactory
from flow_steps import END, counts
from ingest_reference import Expected, Row, assert_windows, reference
from local_stack import wait_until

from local.stack import Stack
from sensorwatch.ingestion.records import RawEvent
from sensorwatch.store.tables import sensor_windows, sensors

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(420)]

SEED = 20261121
ROUNDS = 20
READINGS = 200_000
DEVICES = 12
TAGS = 5
READINGS_PER_EVENT = 20
EVENTS_PER_BATCH = 5
PAUSE_SECONDS = 0.01
LATE = timedelta(hours=2)
HOST, BROKER = "functions-host", "event-hubs"


def bodies(chance: random.Random) -> Iterator[tuple[str, bytes, int]]:
    """Yield (device, body, readings) until there are enough readings: arrays, NDJSON, single ones, some of it useless.

    Every value is another, so every body is.
    """
    serial = count()
    moments = dict.fromkeys((f"machine-{number}" for number in range(DEVICES)), END - timedelta(minutes=40))
    while (sent := next(serial)) < READINGS:
        device = chance.choice(list(moments))
        size = 1 if chance.random() < 0.05 else READINGS_PER_EVENT
        elements = []
        for number in range(min(size, READINGS - sent)):
            moments[device] += timedelta(milliseconds=chance.randrange(10, 200))
            value = (sent if number == 0 else next(serial)) + chance.randrange(1000) / 1000
            late = LATE if chance.random() < 0.01 else timedelta(0)
            reading = {
                "TS": (moments[device] - late).isoformat(),
                "Device": device,
                "Tag": f"tag-{chance.randrange(TAGS)}",
                "Value": value - READINGS / 2,
            }
            if chance.random() < 0.01:
                reading["Value"] = f"{value} bar"
            elements.append(json.dumps(reading))
        lines = chance.random() < 0.3
        text = "\n".join(elements) if lines or size == 1 else f"[{', '.join(elements)}]"
        if chance.random() < 0.005:
            text = f"{text} and {sent}"
        yield device, text.encode(), len(elements)


class Sender(threading.Thread):
    """Sends events until the hub has said of each that it has it; up to ``allowed`` readings."""

    def __init__(self, stack: Stack, events: list[tuple[str, bytes, int]]) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.repeats = 0
        self.allowed = 0
        self.failure: BaseException | None = None
        self._stack = stack
        self._events = events
        self._stopped = threading.Event()
        self._more = threading.Condition()
        self._client: EventHubProducerClient | None = None

    def allow(self, readings: int) -> None:
        with self._more:
            self.allowed = readings
            self._more.notify()

    def stop(self) -> None:
        self._stopped.set()
        self.allow(READINGS)
        self.join(timeout=60)

    def run(self) -> None:
        try:
            batches: dict[str, list[tuple[bytes, int]]] = {}
            for device, body, readings in self._events:
                batches.setdefault(device, []).append((body, readings))
                if len(batches[device]) == EVENTS_PER_BATCH:
                    self._send(device, batches.pop(device))
            for device, batch in batches.items():
                self._send(device, batch)
        except BaseException as exc:
            self.failure = exc
        finally:
            self._close()

    def _send(self, device: str, batch: list[tuple[bytes, int]]) -> None:
        with self._more:
            self._more.wait_for(lambda: self.sent < self.allowed)
        while not self._stopped.is_set():
            try:
                self._client = self._client or self._connect()
                data = self._client.create_batch(partition_key=device)
                for body, _ in batch:
                    data.add(EventData(body))
                self._client.send_batch(data)
            except EventHubError:
                self.repeats += 1
                self._close()
            else:
                # As fast as it could, it would never be in the middle of sending when something is killed.
                self._stopped.wait(PAUSE_SECONDS)
                self.sent += sum(readings for _, readings in batch)
                return

    def _connect(self) -> EventHubProducerClient:
        values = self._stack.settings.values
        return EventHubProducerClient.from_connection_string(
            values["EventHub"], eventhub_name=values["EVENT_HUB_NAME"], retry_total=0
        )

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(EventHubError):
                client.close()


def test_nothing_is_lost_or_doubled_while_host_and_broker_are_killed(make_stack: StackFactory) -> None:
    begun = time.monotonic()
    chance = random.Random(SEED)
    events = list(bodies(chance))
    assert len({body for _, body, _ in events}) == len(events)
    stack = make_stack()
    sender = Sender(stack, events)
    sender.start()
    kills: Counter[str] = Counter()
    try:
        for number in range(ROUNDS):
            share = READINGS // ROUNDS
            sender.allow((number + 1) * share)
            moment = (number + 0.8 * chance.random()) * share * 0.98
            measure = chance.choice([partial(_sent, sender), partial(_ingested, stack)])
            wait_until(partial(_reaches, measure, sender, moment), f"round {number + 1}'s moment")
            noticed = partial(_notices, sender, sender.repeats)
            victims = chance.choice([[HOST], [BROKER], [HOST, BROKER], [BROKER, HOST]])
            for victim in victims:
                stack.kill_server(victim)
                kills[victim] += 1
            if BROKER in victims and chance.random() < 0.5:
                wait_until(noticed, "the sender to notice")
            # A host is ready once it receives.
            for victim in sorted(victims):
                stack.start_server(victim)
        wait_until(lambda: not sender.is_alive(), "everything to be sent", 120)
        assert sender.failure is None
    finally:
        sender.stop()
    assert sender.sent == sum(readings for _, _, readings in events) == READINGS
    wait_until(partial(_is_at_the_end, stack), "everything to be ingested", 120)
    stack.kill_server(HOST)

    log = _read_log(stack)
    assert {body for _, body, _ in events} <= {event.body for _, event in log}
    expected = reference(log)
    duplicates = _assert_counts(stack, expected)
    assert_windows(_windows(stack), expected)
    letters = {
        (x.partition.partition_id, x.sequence_number, x.enqueued_time, x.index): x.reason == "late"
        for x in stack.product.dead_letters.read()
    }
    assert letters == {place: reason == "late" for place, reason in expected.rejected.items()}
    late = sum(letters.values())
    assert 0 < late < len(letters)
    assert sender.repeats > 0, "no kill met the sender"
    assert duplicates > 0, "no kill met the host between commit and checkpoint"
    print(
        f"{ROUNDS} rounds, {kills.total()} kills (host {kills[HOST]}, broker {kills[BROKER]}): {READINGS} readings in "
        f"{len(events)} events sent, {sender.repeats} batches repeated; {expected.total} readings in {len(log)} events "
        f"in the log: {len(expected.windows)} windows, {late} late, {len(letters) - late} invalid; {duplicates} "
        f"duplicates seen, {time.monotonic() - begun:.0f} s"
    )
    _assert_late_letters_are_replayed_once(stack, late)


def _assert_late_letters_are_replayed_once(stack: Stack, late: int) -> None:
    """Take the late readings in after all, over the command line, killed half-way."""
    before = stack.product.store.window_count(), _accepted(stack)
    command = [sys.executable, "-c", "from sensorwatch.cli import main; main()"]
    command += ["deadletters", "replay", "--reason", "late", "--accept-late"]
    environment = {**os.environ, **stack.settings.values}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: _accepted(stack) > before[1] or process.poll() is not None, "the replay to begin")
        process.kill()
    for _ in range(2):
        subprocess.run(command, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert _accepted(stack) == before[1] + late
    assert sum(readings for readings, *_ in _windows(stack).values()) == before[1] + late


def _reaches(measure: Callable[[], int], sender: Sender, moment: float) -> bool:
    if sender.failure is not None:
        raise sender.failure
    return measure() >= moment


def _notices(sender: Sender, repeats: int) -> bool:
    return sender.repeats > repeats or sender.sent >= sender.allowed


def _sent(sender: Sender) -> int:
    return sender.sent


def _ingested(stack: Stack) -> int:
    total = counts(stack)
    return total.received - total.duplicate


def _accepted(stack: Stack) -> int:
    return counts(stack).accepted


def _consumer(stack: Stack) -> EventHubConsumerClient:
    values = stack.settings.values
    return EventHubConsumerClient.from_connection_string(
        values["EventHub"], values["EVENT_HUB_CONSUMER_GROUP"], eventhub_name=values["EVENT_HUB_NAME"]
    )


def _ends(stack: Stack) -> dict[str, int]:
    """Return each partition's last sequence number, where it has events."""
    with _consumer(stack) as client:
        found = [client.get_partition_properties(partition) for partition in client.get_partition_ids()]
    return {one["id"]: one["last_enqueued_sequence_number"] for one in found if not one["is_empty"]}


def _is_at_the_end(stack: Stack) -> bool:
    marks = {s.partition.partition_id: s.checkpoint.sequence_number for s in stack.product.store.ingest_status()}
    return marks == _ends(stack)


def _read_log(stack: Stack) -> list[tuple[str, RawEvent]]:
    """Return all events, partition by partition, each in its order."""
    log = []
    for partition, last in _ends(stack).items():
        received: list[RawEvent] = []
        client = _consumer(stack)

        def take(_: object, batch: Any, received: list[RawEvent] = received) -> None:
            received += [RawEvent(x.sequence_number, x.enqueued_time, b"".join(x.body)) for x in batch]

        reader = threading.Thread(
            target=client.receive_batch,
            args=(take,),
            kwargs={"partition_id": partition, "starting_position": "-1", "max_batch_size": 1000, "prefetch": 3000},
            daemon=True,
        )
        with client:
            reader.start()
            wait_until(partial(_has_come_to, received, last), f"partition {partition} to be read back")
        reader.join(timeout=60)
        assert [event.sequence_number for event in received] == list(range(last + 1))
        log += [(partition, event) for event in received]
    return log


def _has_come_to(received: list[RawEvent], last: int) -> bool:
    return bool(received) and received[-1].sequence_number >= last


def _assert_counts(stack: Stack, expected: Expected) -> int:
    """Assert each partition's counters; return how many duplicates were seen."""
    duplicates = 0
    statuses = stack.product.store.ingest_status()
    assert {status.partition.partition_id for status in statuses} == expected.counts.keys()
    for status in statuses:
        found, wanted = status.counts, expected.counts[status.partition.partition_id]
        assert (found.accepted, found.late, found.invalid) == (wanted.accepted, wanted.late, wanted.invalid)
        assert found.received == found.accepted + found.late + found.duplicate + found.invalid
        duplicates += found.duplicate
    return duplicates


def _windows(stack: Stack) -> dict[tuple[str, str, int], Row]:
    w, s = sensor_windows.c, sensors.c
    query = sa.select(s.Device, s.Tag, w.TS, w.Readings, w.Minimum, w.Maximum, w.Total, w.SumOfSquares).join_from(
        sensor_windows, sensors, s.SensorId == w.SensorId
    )
    engine = sa.create_engine(stack.settings.values["DATABASE_URL"])
    with engine.connect() as connection:
        found = {(row[0], row[1], row[2]): tuple(row[3:]) for row in connection.execute(query)}
    engine.dispose()
    return found
