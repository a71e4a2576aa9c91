"""Real time on the local stack: anomalies as their readings arrive, and new models without a restart."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from flow_steps import counts, fire_and_wait, send, wait_until_ingested
from local_stack import ROOT, settings_file, wait_until

from local.stack import Stack
from sensorwatch.ingestion.decode import ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.realtime.records import ServingCounts
from sensorwatch.store import SqlStore

pytestmark = pytest.mark.flow

DEVICES = ("press-1", "press-2", "oven-1")
LEVEL, FAR = 80.0, 200.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    file = settings_file(
        tmp_path,
        DATABASE_URL=f"sqlite:///{tmp_path}/sensorwatch.db",
        SERVING_CONSUMER_GROUP="serving",
        SERVING_POLL_SECONDS="0.5",
        SERVING_DEADLINE_MS="5000",
        MINIMUM_TRAINING_WINDOWS="20",
        SETTLE_SECONDS="0",
        RUN_WINDOW_SECONDS="5",
    )
    with Stack(ROOT, file, tmp_path / "data", report=lambda _: None) as running:
        yield running


def history(end: datetime, windows: int) -> list[Reading]:
    """Return a reading of every device for so many windows up to a time."""
    values = random.Random(3)
    return [
        Reading(device, "pressure", ticks_of(end - timedelta(seconds=5 * back)), LEVEL + values.uniform(-3, 3))
        for back in reversed(range(windows))
        for device in DEVICES
    ]


def now(values: dict[str, float]) -> list[Reading]:
    return [Reading(device, "pressure", ticks_of(datetime.now(UTC)), value) for device, value in values.items()]


class Trickle:
    """Readings of now, several times a second, one of the devices far off; a context manager that starts and stops."""

    def __init__(self, stack: Stack) -> None:
        self.sent = 0
        self._stack = stack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        with self._stack.product.sender() as sender:
            while not self._stop.wait(0.25):
                # Further off each time: what the newer models are trained on they take for normal.
                self.sent += sender.send(now(dict.fromkeys(DEVICES, LEVEL) | {"press-2": FAR + 10 * self.sent}))


def versions_in(store: SqlStore) -> set[str]:
    """Return the versions that anomalies were found by."""
    return {each.model_version for each in store.anomalies(limit=1000)}


def served(stack: Stack) -> ServingCounts:
    """Return what became of the readings in real time, all partitions together."""
    parts = [status.counts for status in stack.product.store.serving_status()]
    return ServingCounts(*(sum(column) for column in zip(*parts, strict=True))) if parts else ServingCounts()


def test_anomalies_are_there_at_once_and_new_models_are_taken_up_while_readings_come(stack: Stack) -> None:
    store = stack.product.store
    sent = send(stack, history(datetime.now(UTC) - timedelta(seconds=120), 60))
    wait_until_ingested(stack, sent)
    fire_and_wait(stack, "train")
    version = stack.product.models.current(0)
    assert version is not None
    # The readings before were scored without a model: it is wanted since, and looked for.
    wait_until(lambda: served(stack).received == sent, "the readings before to be passed on")
    assert served(stack).scored == 0

    with Trickle(stack) as trickle:
        wait_until(lambda: version.version in versions_in(store), "an anomaly, named after the version that found it")
        # A whole window that no model has seen makes another version.
        wait_until(lambda: len(store.anomalies()) >= 3, "windows to be over")
        fire_and_wait(stack, "train")
        newer = stack.product.models.current(0)
        assert newer is not None
        assert newer != version
        wait_until(lambda: newer.version in versions_in(store), "an anomaly found by the newer version")
    sent += trickle.sent
    wait_until_ingested(stack, sent)
    wait_until(lambda: served(stack).received == sent, "all readings to be accounted for")
    assert served(stack).duplicate == served(stack).invalid == served(stack).not_in_time == 0
    assert counts(stack).accepted == sent
    assert {anomaly.sensor_id for anomaly in store.anomalies(limit=1000)} == {
        sensor.sensor_id for sensor in store.sensors() if sensor.key.device == "press-2"
    }
    assert [use.model for use in store.model_uses()] == ["own"]
