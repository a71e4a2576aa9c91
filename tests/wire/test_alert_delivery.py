"""Alerts to a webhook that fails, hangs or answers 500, and from a process that is killed: none is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from delivering_process import END, store_alerts
from fakes.clock import FakeClock
from local_stack import ROOT
from sink_receivers import Post, WebhookServer

from sensorwatch.alerts.deliver import DeliveryRules, Outbox
from sensorwatch.alerts.sinks import sinks
from sensorwatch.settings import load_settings
from sensorwatch.store import SqlStore, open_store

pytestmark = pytest.mark.wire

SENSORS = 12
KEYS = {f"{number}-{END}:{event}" for number in range(SENSORS) for event in ("opened", "cleared")}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=1000)
    yield opened
    opened.dispose()


def deliver_all(store: SqlStore, url: str, *, runs: int, timeout: str = "5") -> int:
    """Deliver in runs a minute apart until nothing waits; return how many runs it took."""
    clock = FakeClock(datetime(2026, 11, 20, 10, 15, tzinfo=UTC))
    settings = load_settings(
        {"DATABASE_URL": "sqlite:///:memory:", "WEBHOOKS": f"ops={url}", "NOTIFICATION_TIMEOUT_SECONDS": timeout}
    )
    outbox = Outbox(store, sinks(settings, clock), clock, DeliveryRules.from_settings(settings))
    for number in range(1, runs + 1):
        outbox.deliver()
        if not store.pending_notifications():
            return number
        clock.turn(600)
    raise AssertionError(f"{len(store.pending_notifications())} still wait after {runs} runs")


def assert_opened_before_cleared(keys: list[str]) -> None:
    first = {key: keys.index(key) for key in keys}
    for number in range(SENSORS):
        assert first[f"{number}-{END}:opened"] < first[f"{number}-{END}:cleared"]


@pytest.mark.parametrize("seed", range(3))
def test_a_receiver_that_fails_half_of_the_time_gets_every_alert_once(store: SqlStore, seed: int) -> None:
    chance = random.Random(seed)
    store_alerts(store, SENSORS)
    with WebhookServer(lambda post: 200 if chance.random() < 0.5 else chance.choice([429, 500, 503])) as server:
        deliver_all(store, server.url, runs=100)
        assert set(server.keys) == KEYS
        assert len(server.keys) == len(KEYS)
        assert_opened_before_cleared(server.keys)


def test_a_receiver_that_answers_500_for_a_while_gets_every_alert_once(store: SqlStore) -> None:
    asked: list[str] = []

    def answer(post: Post) -> int:
        asked.append(post.key)
        return 500 if len(asked) < 10 else 200

    store_alerts(store, SENSORS)
    with WebhookServer(answer) as server:
        assert deliver_all(store, server.url, runs=20) > 5
        assert sorted(server.keys) == sorted(KEYS)


def test_a_receiver_that_hangs_and_comes_back_gets_every_alert(store: SqlStore) -> None:
    asked: list[str] = []

    def answer(post: Post) -> int | None:
        asked.append(post.key)
        return None if len(asked) < 5 else 200

    store_alerts(store, SENSORS)
    with WebhookServer(answer) as server:
        deliver_all(store, server.url, runs=20, timeout="0.3")
        assert sorted(server.keys) == sorted(KEYS)


def test_a_receiver_that_takes_an_alert_but_loses_the_connection_gets_it_again_with_the_same_key(
    store: SqlStore,
) -> None:
    seen: list[str] = []

    def answer(post: Post) -> int | None:
        seen.append(post.key)
        return None if seen.count(post.key) == 1 else 200

    store_alerts(store, 2)
    with WebhookServer(answer) as server:
        deliver_all(store, server.url, runs=40, timeout="0.2")
        assert len(seen) == 8
        assert len(set(seen)) == len(server.keys) == 4


class Deliverer:
    """The process that stores and delivers."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._started = 0

    def start(self, sensors: int = 0) -> subprocess.Popen[str]:
        # Each is an hour ahead of the one before, so that the leases of those that were killed are over.
        self._started += 1
        arguments = [str(self._folder / "store.db"), self._url, str(sensors), str(self._started)]
        script = Path(__file__).with_name("delivering_process.py")
        return subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )


def test_a_process_killed_between_commit_and_send_loses_no_alert(tmp_path: Path) -> None:
    with WebhookServer() as server:
        deliverer = Deliverer(tmp_path, server.url)
        with deliverer.start(SENSORS) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "committed\n"
            process.kill()
        assert server.keys == []
        with deliverer.start() as process:
            assert process.communicate(timeout=60)[0] == "delivered\n"
        assert sorted(server.keys) == sorted(KEYS)


@pytest.mark.parametrize("seed", range(2))
def test_a_process_killed_while_it_sends_loses_no_alert(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    running: list[subprocess.Popen[str]] = []
    kill_at = {"count": chance.randrange(1, 12)}
    asked: list[str] = []

    def answer(post: Post) -> int:
        asked.append(post.key)
        if len(asked) == kill_at["count"]:
            # The receiver has it, and nobody will note that.
            running[-1].kill()
        return 200

    with WebhookServer(answer) as server:
        deliverer = Deliverer(tmp_path, server.url)
        sensors, killed = SENSORS, 0
        while True:
            process = deliverer.start(sensors)
            running.append(process)
            output = process.communicate("\n", timeout=60)[0]
            if output.endswith("delivered\n"):
                break
            assert process.returncode == -signal.SIGKILL
            sensors, killed = 0, killed + 1
            kill_at["count"] = len(asked) + chance.randrange(4, 12)
        assert killed > 0
        assert set(server.keys) == KEYS
        assert len(server.keys) <= len(KEYS) + killed
        assert_opened_before_cleared(server.keys)
