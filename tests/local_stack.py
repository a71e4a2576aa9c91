"""Real servers for tests: ports that no two tests share, Azurite, and the whole local stack."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

from local.settings_file import write_settings_file

__all__ = ["ROOT", "azurite_connection", "pick_port", "running_azurite", "settings_file", "wait_until"]

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
_TEMPLATE = ROOT / "local.settings.json.template"
# Azurite's documented account, whose key every installation of it has.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# Below the range from which the system takes the ports of outgoing connections; each worker has its own hundreds.
_PORTS = count(21_000 + 500 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")))


def pick_port() -> int:
    """Return a loopback TCP port that nothing listens on and that no other test was given."""
    return next(port for port in _PORTS if not _accepts_connections(port))


def azurite_connection(port: int) -> str:
    """Return the connection string of an Azurite."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    )


def wait_until(condition: Callable[[], T], what: str, limit_seconds: float = 120) -> T:
    """Wait until a condition gives a true value, and return that value; fail with its name at the limit."""
    deadline = time.monotonic() + limit_seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {limit_seconds} s for {what}"
        time.sleep(0.02)
    return value


@contextmanager
def running_azurite(folder: Path) -> Iterator[str]:
    """Run Azurite's blob service; yields its connection string."""
    port = pick_port()
    command = [sys.executable, "-m", "local.azurite", "--port", str(port), "--exit-with-parent", "--data", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)

    def up() -> bool:
        assert process.poll() is None, f"Azurite ended with exit code {process.returncode}"
        return _accepts_connections(port)

    try:
        wait_until(up, f"Azurite on port {port}")
        yield azurite_connection(port)
    finally:
        process.terminate()
        process.wait(timeout=60)


def settings_file(folder: Path, **values: str) -> Path:
    """Write a settings file with ports of its own and timers that only fire by hand, but for the sweep.

    Nothing is scored in real time, unless the values given say so. Readings depend on the hour: with the detector that
    hardly looks at their course, whether a model is promoted does not.

    Tests send readings of the past at once, with pauses in between: sensors are not silent for that.
    """
    blob, hubs, batch, http = (pick_port() for _ in range(4))
    template = json.loads(_TEMPLATE.read_text())["Values"]
    never = "0 0 0 1 1 *"
    defaults = {
        "DATABASE_URL": "sqlite:///sensorwatch.db",
        "AzureWebJobsStorage": azurite_connection(blob),
        "EventHub": template["EventHub"].replace(":5673", f":{hubs}"),
        "BATCH_ACCOUNT_URL": f"http://127.0.0.1:{batch}",
        "TRAIN_SCHEDULE": never,
        "SCORE_SCHEDULE": never,
        "MAINTENANCE_SCHEDULE": never,
        "SWEEP_SCHEDULE": "*/1 * * * * *",
        "NO_DATA_FLOOR_SECONDS": "86400",
        "SERVING_CONSUMER_GROUP": "",
        "DETECTOR": "ocsvm",
    }
    file = folder / "local.settings.json"
    write_settings_file(file, _TEMPLATE, values=defaults | values, http_port=http)
    return file


def _accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
