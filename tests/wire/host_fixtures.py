"""Fixtures of the Functions host's tests: a broker, a host that is shared, and hosts of a test's own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from host_process import HUBS, NAMES, Broker, RunningHost, app_settings
from local_stack import pick_port


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    running = Broker(tmp_path_factory.mktemp("broker"), pick_port(), HUBS)
    yield running
    running.process.end()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, azurite: str, broker: Broker) -> Iterator[RunningHost]:
    """One host for the tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("shared")
    running = RunningHost(folder, pick_port(), app_settings(azurite, broker, HUB="shared", INBOX="shared-inbox"))
    running.wait_until_running()
    yield running
    assert running.process.end(signal.SIGTERM) == 0


@pytest.fixture
def start_host(tmp_path: Path, azurite: str, broker: Broker, free_port: int) -> Iterator[Callable[..., RunningHost]]:
    """Starts a host that the test may stop, kill and start again."""
    started: list[RunningHost] = []

    def start(**settings: str) -> RunningHost:
        number = next(NAMES)
        started.append(
            RunningHost(tmp_path, free_port, app_settings(azurite, broker, **{"INBOX": f"inbox-{number}", **settings}))
        )
        return started[-1]

    yield start
    for running in started:
        if running.process.process.poll() is None:
            running.process.end()
