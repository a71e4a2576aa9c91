"""One reading, followed from its event to the alert that others are told of, over processes that share no memory."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import StackFactory
from flow_steps import END, counts, fire_and_wait, wait_until_ingested
from local_stack import wait_until
from sink_receivers import WebhookServer

from sensorwatch.ingestion.decode import time_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.simulation.anomalies import InjectedAnomaly
from sensorwatch.simulation.fleet import Fleet, device_names, tag_names
from sensorwatch.telemetry.recorded import Recording

pytestmark = pytest.mark.flow

FLEET = Fleet(device_names(2), tag_names(2), seed=3)
HISTORY = timedelta(minutes=20)
FRESH = timedelta(minutes=10)
FAULT = InjectedAnomaly(
    "press-1", "pressure", "level-shift", END - timedelta(minutes=8), END - timedelta(minutes=6)
)  # fmt: skip


def command(folder: Path, *arguments: str) -> str:
    """Run ``sensorwatch`` with the stack's settings, as a person does, and return what it prints."""
    settings = str(folder / "local.settings.json")
    return subprocess.run(
        [sys.executable, "-c", "from sensorwatch.cli import main; main()", "--settings", settings, *arguments],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def send(folder: Path, readings: Iterable[Reading]) -> int:
    """Send readings from a file; return their number."""
    file = folder / "readings.csv"
    rows = [(time_of(each.ticks).isoformat(), each.device, each.tag, each.value) for each in readings]
    with file.open("w", newline="") as lines:
        csv.writer(lines).writerows([("TS", "Device", "Tag", "Value"), *rows])
    command(folder, "replay", str(file), "--readings-per-event", "20")
    return len(rows)


def test_one_reading_is_traced_from_its_event_to_the_notification(make_stack: StackFactory, tmp_path: Path) -> None:
    with WebhookServer() as receiver:
        stack = make_stack(TELEMETRY_EXPORTER="file", TELEMETRY_FILE="telemetry.jsonl", WEBHOOKS=f"ops={receiver.url}")
        folder, store = tmp_path / "stack", stack.product.store
        sent = send(folder, FLEET.readings(END - FRESH - HISTORY, END - FRESH))
        wait_until_ingested(stack, sent)
        train = fire_and_wait(stack, "train")
        sent += send(folder, FLEET.readings(END - FRESH, END, [FAULT]))
        wait_until_ingested(stack, sent)
        score = fire_and_wait(stack, "score")
        wait_until(lambda: not store.pending_notifications(), "the notifications to be delivered")
        names = {sensor.sensor_id: sensor.key for sensor in store.sensors()}
        (alert,) = [each for each in store.alerts() if names[each.sensor_id] == ("press-1", "pressure")]
        opened = f"{alert.alert_id}:opened"
        (post,) = [post for post in receiver.posts if post.key == opened]

    steps = json.loads(command(folder, "trace", "press-1", "pressure", "--json"))["steps"]

    # The reading: sent by one process, taken in by another, which has a link to where it came from.
    (first_sent, *_) = of_name(steps, "send")
    assert first_sent["service"] == "sensorwatch-cli"
    assert first_sent["attributes"]["sensorwatch.device"] == "press-1"
    taken_in = of_name(steps, "ingest")
    assert {span["service"] for span in taken_in} == {"sensorwatch-functions"}
    assert {span["span_id"] for span in of_name(steps, "send")} & set(taken_in[0]["links"])
    # Its window: one trace over timer, task, prediction file and both sinks.
    (submitted,), (scored,) = (of_name(steps, name) for name in ("submit score", "score"))
    assert (submitted["attributes"]["sensorwatch.run"], scored["service"]) == (score.run_id, "sensorwatch-tasks")
    told = [span for span in of_name(steps, "deliver") if span["attributes"]["sensorwatch.notification"] == opened]
    assert {span["attributes"]["sensorwatch.sink"] for span in told} == {"log", "ops"}
    # The sweep may have been before the trigger, which then found nothing new.
    (published,) = [span for span in of_name(steps, "publish") if span["attributes"]["sensorwatch.alerts.opened"]]
    way = [submitted, scored, published]
    assert [span["parent_id"] for span in way] == [None, submitted["span_id"], scored["span_id"]]
    assert {span["parent_id"] for span in told} == {published["span_id"]}
    assert {span["trace_id"] for span in [*way, *told]} == {submitted["trace_id"]}
    # Who is told can go on with it.
    by_sink = {span["attributes"]["sensorwatch.sink"]: span for span in told}
    traceparent = post.json["traceparent"]
    assert traceparent.split("-")[1:3] == [submitted["trace_id"], by_sink["ops"]["span_id"]]
    assert post.headers["traceparent"] == traceparent

    wait_until(lambda: adds_up(stack.product.settings.telemetry_file, sent), "the metrics of the readings")
    recording = Recording.read(folder / "telemetry.jsonl")
    assert counts(stack) == (sent, sent, 0, 0, 0)
    assert recording.total("sensorwatch.readings.accepted") == sent
    stored = len(store.anomalies(limit=10_000)) + recording.total("sensorwatch.anomalies.withdrawn")
    assert recording.total("sensorwatch.anomalies") == stored
    assert recording.total("sensorwatch.alerts.opened") == len(store.alerts())
    assert Counter(run.kind for run in (train, score)) == {
        kind: recording.total("sensorwatch.task.duration", kind=kind) for kind in ("train", "score")
    }
    assert recording.total("sensorwatch.cycles.missed") == 0


def of_name(steps: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [step["span"] for step in steps if step["span"]["name"] == name]


def adds_up(file: str, sent: int) -> bool:
    recording = Recording.read(Path(file))
    received = recording.total("sensorwatch.readings.received") == sent
    return received and recording.total("sensorwatch.task.duration", kind="score") == 1
