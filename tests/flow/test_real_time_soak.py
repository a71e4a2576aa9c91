"""Real time under load for minutes: 1,000 readings a second, all scored, anomalies within a second, memory flat."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from flow_steps import fire_and_wait, send, wait_until_ingested
from local_stack import ROOT, settings_file, wait_until

from local.stack import Stack
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.ingestion.sender import EventHubSender
from sensorwatch.ingestion.windows import window_end
from sensorwatch.realtime.records import ServingCounts

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(1800)]

DEVICES, TAGS = 20, 50
SECONDS = 300
TRAINED_WINDOWS = 30
ANOMALIES_A_SECOND = 3
LEVEL, FAR = 80.0, 500.0
LONGEST_P99_SECONDS = 1.0
LARGEST_GROWTH = 0.15
"""Of the host's memory, from the end of the first minute on."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    file = settings_file(
        tmp_path,
        DATABASE_URL=f"sqlite:///{tmp_path}/sensorwatch.db",
        SERVING_CONSUMER_GROUP="serve",
        MINIMUM_TRAINING_WINDOWS="20",
        SETTLE_SECONDS="0",
        SWEEP_SCHEDULE="*/5 * * * * *",
    )
    with Stack(ROOT, file, tmp_path / "data", report=lambda _: None) as running:
        yield running


def served(stack: Stack) -> ServingCounts:
    parts = [status.counts for status in stack.product.store.serving_status()]
    return ServingCounts(*(sum(column) for column in zip(*parts, strict=True))) if parts else ServingCounts()


class Traffic:
    """Readings of 1,000 sensors once a second, some far off; remembers when it sent which of these."""

    def __init__(self, sender: EventHubSender) -> None:
        self.sent = 0
        self.sent_at: dict[tuple[str, str, int], float] = {}
        self._sender = sender
        self._random = random.Random(7)

    def second(self) -> None:
        """Send a reading of every sensor, a device's in one event, and be done within the second."""
        far = {self._random.randrange(DEVICES * TAGS) for _ in range(ANOMALIES_A_SECOND)}
        begun = time.monotonic()
        ticks = ticks_of(datetime.now(UTC))
        end = window_end(ticks, 5)
        readings = []
        for number in range(DEVICES * TAGS):
            device, tag = f"device-{number // TAGS}", f"tag-{number % TAGS}"
            value = FAR if number in far else LEVEL + self._random.uniform(-2.5, 2.5)
            readings.append(Reading(device, tag, ticks, value))
            if number in far:
                self.sent_at.setdefault((device, tag, end), time.monotonic())
        self.sent += self._sender.send(readings, readings_per_event=TAGS)
        time.sleep(max(0.0, 1.0 - (time.monotonic() - begun)))


class Watcher(threading.Thread):
    """Looks for anomalies all the time, and notes when it first saw each one."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.seen_at: dict[tuple[int, int], float] = {}
        self._store = stack.product.store
        self._stop_wanted = threading.Event()

    def run(self) -> None:
        while not self._stop_wanted.wait(0.02):
            for each in self._store.anomalies(limit=100):
                self.seen_at.setdefault((each.sensor_id, each.end), time.monotonic())

    def stop(self) -> None:
        self._stop_wanted.set()
        self.join()


def test_a_thousand_readings_a_second_are_scored_for_minutes(stack: Stack) -> None:
    store = stack.product.store
    end = datetime.now(UTC) - timedelta(seconds=60)
    values = random.Random(3)
    history = [
        Reading(
            f"device-{number // TAGS}",
            f"tag-{number % TAGS}",
            ticks_of(end) - 5 * back * TICKS_PER_SECOND,
            LEVEL + values.uniform(-3, 3),
        )
        for back in reversed(range(TRAINED_WINDOWS))
        for number in range(DEVICES * TAGS)
    ]
    before = send(stack, history, readings_per_event=TAGS)
    wait_until_ingested(stack, before, 300)
    fire_and_wait(stack, "train")
    wait_until(lambda: served(stack).received == before, "the readings before to be passed on", 300)
    host = psutil.Process(stack.servers["functions-host"].pid)
    watcher = Watcher(stack)
    watcher.start()
    memory: list[int] = []
    with stack.product.sender() as sender:
        traffic = Traffic(sender)
        # Models are looked for with the first readings of their sensors.
        for _ in range(5):
            traffic.second()
        wait_until(lambda: served(stack).received == before + traffic.sent, "the models to be looked for", 120)
        at_first = served(stack)
        traffic.sent_at.clear()
        begun = time.monotonic()
        while time.monotonic() - begun < SECONDS:
            traffic.second()
            memory.append(host.memory_info().rss)
    lasted = time.monotonic() - begun
    wait_until(lambda: served(stack).received == before + traffic.sent, "all readings to be accounted for", 120)
    ids = {sensor.key: sensor.sensor_id for sensor in store.sensors()}
    wanted = {(ids[device, tag], end): at for (device, tag, end), at in traffic.sent_at.items()}  # type: ignore[index]
    counts = ServingCounts(*(now - then for now, then in zip(served(stack), at_first, strict=True)))
    # A reading that no model answered in time may have been the only one to show its window as anomalous.
    wait_until(
        lambda: len(wanted.keys() - watcher.seen_at.keys()) <= counts.not_in_time, "the anomalies to be found", 60
    )
    watcher.stop()
    latencies = sorted(watcher.seen_at[key] - at for key, at in wanted.items() if key in watcher.seen_at)
    p50, p99 = latencies[len(latencies) // 2], latencies[int(0.99 * len(latencies))]
    first_minute = max(memory[: len(memory) // 5])
    growth = memory[-1] / first_minute - 1
    print(
        f"\n{counts.received} readings in {lasted:.0f} s ({counts.received / lasted:.0f} a second): {counts}\n"
        f"{len(latencies)} anomalies, from sending a reading to seeing its row: p50 {1000 * p50:.0f} ms, "
        f"p99 {1000 * p99:.0f} ms, longest {1000 * latencies[-1]:.0f} ms\n"
        f"memory of the host: {first_minute / 1e6:.0f} MB in the first minute, {memory[-1] / 1e6:.0f} MB at the end"
    )
    assert counts.received == counts.scored + counts.not_in_time
    assert p99 < LONGEST_P99_SECONDS
    assert growth < LARGEST_GROWTH
