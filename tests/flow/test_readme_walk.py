"""The walk of the page "Your first alert": its commands as printed end with the injected anomalies as alerts.

It has a make target of its own. Scoring in real time may judge a window before batch scoring does, and an alert of
batch scoring then opens late or not at all: a walk in which they meet fails.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import StackFactory
from local_stack import ROOT

from sensorwatch.simulation.anomalies import InjectedAnomaly
from sensorwatch.simulation.ground_truth import read_ground_truth

pytestmark = [pytest.mark.flow, pytest.mark.slow]

PAGE = ROOT / "docs/get-started/first-alert.md"
PROGRAM = ".venv/bin/sensorwatch"
SETTINGS = {
    # As in the template: what a person has who types the commands.
    "DETECTOR": "auto",
    "SERVING_CONSUMER_GROUP": "serve",
    "NO_DATA_FLOOR_SECONDS": "300",
    "SCORE_SCHEDULE": "0 */5 * * * *",
    "SWEEP_SCHEDULE": "*/30 * * * * *",
}
# Of the windows of five seconds that a fault touches, the last ends after it.
WINDOW_SECONDS = 5
OPENING_WINDOWS = 3
# A stuck sensor keeps a usual value, and a spike lasts two windows or three.
SURE = {"dropout", "noise-burst"}


def commands() -> list[list[str]]:
    """Return the words behind ``sensorwatch`` of every command in the section of the walk."""
    (section,) = re.findall(r"^## 3\. .*?(?=^## )", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(f"{PROGRAM} ")]
    return [shlex.split(line)[1:] for line in lines]


def walk(folder: Path) -> list[str]:
    """Run the commands in a folder that has the stack's settings file; return what each printed."""
    said = []
    for words in commands():
        ended = subprocess.run(
            [sys.executable, "-c", "from sensorwatch.cli import main; main()", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert ended.returncode == 0, f"{words}: {ended.stdout}{ended.stderr}"
        said.append(ended.stdout + ended.stderr)
    return said


@contextmanager
def busy_machine(processes: int) -> Iterator[None]:
    """Keep processors busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("busy", [0, 2 * (os.cpu_count() or 1)])
def test_the_walk_ends_with_the_injected_anomalies_as_alerts_and_no_others(
    make_stack: StackFactory, tmp_path: Path, busy: int
) -> None:
    stack = make_stack(**SETTINGS)
    folder = tmp_path / "stack"
    with busy_machine(busy):
        said = walk(folder)
    assert [words[0] for words in commands()] == ["simulate", "train", "simulate", "score", "alerts"]
    assert "54000 accepted + 0 late + 0 duplicate + 0 invalid" in said[0]
    assert "15 of 15 sensors have a model" in said[1]
    assert "18000 accepted + 0 late + 0 duplicate + 0 invalid" in said[2]
    assert not any("level=" in each or "WARNING" in each for each in said)

    injected = read_ground_truth(folder / "ground-truth.ndjson")
    store = stack.product.store
    names = {sensor.sensor_id: sensor.key for sensor in store.sensors()}
    alerts = [alert for alert in store.alerts(limit=1000) if alert.kind == "anomaly"]
    anomalies = store.anomalies(limit=10_000)
    assert len(injected) == 5

    def within(fault: InjectedAnomaly, sensor_id: int, end: int) -> bool:
        last = fault.end.timestamp() + WINDOW_SECONDS
        return (fault.device, fault.tag) == names[sensor_id] and fault.start.timestamp() <= end <= last

    strays = [
        alert for alert in alerts if not any(within(each, alert.sensor_id, alert.opened_end) for each in injected)
    ]
    assert strays == []
    for fault in injected:
        of_fault = sum(within(fault, alert.sensor_id, alert.opened_end) for alert in alerts)
        windows = sum(within(fault, each.sensor_id, each.end) for each in anomalies)
        assert of_fault == (windows >= OPENING_WINDOWS), (fault, windows)
        assert of_fault or fault.kind not in SURE
    assert all(alert.alert_id in said[-1] for alert in alerts)
