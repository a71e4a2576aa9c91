"""From readings to alerts on real servers; whatever is done twice, or killed half-way, changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from conftest import StackFactory
from flow_steps import END, counts, fire_and_wait, send, wait_until_ingested, windows
from local_stack import ROOT, wait_until

from local.stack import Stack
from sensorwatch.scheduling.batch_client import batch_client
from sensorwatch.simulation.anomalies import InjectedAnomaly
from sensorwatch.simulation.fleet import Fleet, device_names, tag_names
from sensorwatch.simulation.matching import Detection, match
from sensorwatch.simulation.recorded import read_recording

pytestmark = pytest.mark.flow

DATA = Path(os.environ.get("SENSORWATCH_TEST_DATA") or ROOT.parent / "shared" / "data")
FLEET = Fleet(device_names(2), tag_names(2), seed=3)
HISTORY = timedelta(minutes=20)
FRESH = timedelta(minutes=10)
FAULT = InjectedAnomaly(
    "press-1", "pressure", "level-shift", END - timedelta(minutes=8), END - timedelta(minutes=6)
)  # fmt: skip


def test_readings_become_one_alert_however_often_each_step_is_done(make_stack: StackFactory) -> None:
    # A run window of a second: whether a timer that fires again finds something due must not depend on the minute.
    stack = make_stack(RUN_WINDOW_SECONDS="1")
    store, product = stack.product.store, stack.product
    sent = send(stack, FLEET.readings(END - FRESH - HISTORY, END - FRESH), readings_per_event=20)
    wait_until_ingested(stack, sent)

    train = fire_and_wait(stack, "train")
    assert train.tasks["succeeded"] == 1
    assert [sensor.state for sensor in store.sensors()] == ["ready"] * 4

    sent += send(stack, FLEET.readings(END - FRESH, END, [FAULT]), readings_per_event=20)
    wait_until_ingested(stack, sent)
    score = fire_and_wait(stack, "score")
    assert counts(stack) == (sent, sent, 0, 0, 0)

    names = {sensor.sensor_id: sensor.key for sensor in store.sensors()}
    found = [Detection(*names[anomaly.sensor_id], anomaly.end) for anomaly in store.anomalies(limit=10_000)]
    assert match([FAULT], found, window_seconds=5).total.detected == 1
    (alert,) = [alert for alert in store.alerts() if names[alert.sensor_id] == ("press-1", "pressure")]
    assert FAULT.start.timestamp() <= alert.opened_end <= FAULT.end.timestamp() + 5
    wait_until(lambda: not store.pending_notifications(), "the notification to be delivered")
    # Trained with the fresh readings too, the sensors have nothing left that any timer could find due.
    again = fire_and_wait(stack, "train")

    # Everything once more: both timers, and the prediction file, by hand and as a new blob of the same name.
    before = (store.anomalies(limit=10_000), store.alerts(limit=1000), store.runs(), windows(stack))
    for kind in ("train", "score", "sweep"):
        for _ in range(2):
            stack.fire(kind)
    (name,) = product.prediction_files.names(score.run_id)
    publications = _succeeded(stack.host_url, "publish")
    stack.fire("publish", f"predictions/{name}")
    # The version of the first delivery must be read before there is another one.
    wait_until(lambda: _succeeded(stack.host_url, "publish") >= publications + 1, "the delivery by hand")
    blob = product.blobs.get_blob_client("predictions", name)
    blob.upload_blob(blob.download_blob().readall(), overwrite=True)
    wait_until(lambda: _succeeded(stack.host_url, "publish") >= publications + 2, "the new blob to be published")
    wait_until(lambda: _succeeded(stack.host_url, "score") >= 3, "the score timer to have run three times")
    wait_until(lambda: _succeeded(stack.host_url, "train") >= 4, "the train timer to have run four times")
    assert (store.anomalies(limit=10_000), store.alerts(limit=1000), store.runs(), windows(stack)) == before
    assert not store.pending_notifications()
    assert _job_ids(stack.settings.values) == {train.run_id, score.run_id, again.run_id}
    assert httpx.get(f"{stack.host_url}/api/health").json()["status"] == "healthy"


def test_readings_survive_host_and_broker_being_killed_and_the_storage_being_away(make_stack: StackFactory) -> None:
    fleet = Fleet(device_names(6), tag_names(5), seed=5)
    start = END - timedelta(minutes=30)
    undisturbed, disturbed = make_stack("undisturbed"), make_stack("disturbed")
    expected = send(undisturbed, fleet.readings(start, END))
    wait_until_ingested(undisturbed, expected)

    sent = send(disturbed, fleet.readings(start, END))
    for server, share in (("functions-host", 0.1), ("event-hubs", 0.3), ("functions-host", 0.5), ("azurite", 0.7)):
        wait_until(partial(_has_ingested, disturbed, share * sent), f"{share:.0%} to be ingested")
        if server == "azurite":
            # Killed outright it may lose its last seconds, as no storage account does; it is only away for a while.
            disturbed.servers[server].ask_to_stop()
            assert disturbed.servers[server].kill(time.monotonic() + 5)
        else:
            disturbed.kill_server(server)
        assert counts(disturbed).accepted < sent, "it was killed too late to be in the middle"
        disturbed.start_server(server)
    wait_until_ingested(disturbed, sent)

    total = counts(disturbed)
    assert (total.accepted, total.late, total.invalid) == (sent, 0, 0)
    assert total.received == total.accepted + total.duplicate
    # Number of readings, minimum and maximum to the last bit; sums up to the order in which they were merged.
    ours, theirs = windows(disturbed), windows(undisturbed)
    assert [row[:6] for row in ours] == [row[:6] for row in theirs]
    for column in (6, 7):
        assert [row[column] for row in ours] == pytest.approx([row[column] for row in theirs], rel=1e-12)


def test_unusable_readings_become_dead_letters_and_the_rest_counts(make_stack: StackFactory) -> None:
    from azure.eventhub import EventData, EventHubProducerClient

    stack = make_stack()
    good = b'{"TS": "%s", "Device": 1, "Tag": 1, "Value": 84.92}' % END.isoformat().encode()
    bodies = [
        b"not json",
        b"\xff\xfe",
        b"",
        b"[1, 2]",
        b'{"Device": 1, "Value": 1}',
        b'{"TS": "2999-01-01T00:00:00Z", "Device": 1, "Tag": 1, "Value": 1}',
        b'{"TS": "1999-01-01T00:00:00Z", "Device": 1, "Tag": 1, "Value": 1}',
        b'{"Device": 1, "Tag": 1, "Value": NaN}',
        good,
        good.replace(b"84.92", b"1e999"),
        b'"' + b"x" * 500_000 + b'"',
        b"[" + good + b"," + good + b", null]",
    ]
    values = stack.settings.values
    with EventHubProducerClient.from_connection_string(
        values["EventHub"], eventhub_name=values["EVENT_HUB_NAME"]
    ) as producer:
        producer.send_batch([EventData(body) for body in bodies], partition_id="1")
    wait_until(lambda: counts(stack).received >= 15, "all bodies to be taken in")

    assert counts(stack) == (15, 3, 0, 0, 12)
    letters = list(stack.product.dead_letters.read())
    assert len(letters) == 12
    assert {letter.body for letter in letters} == {body for body in bodies if body != good}
    assert {letter.reason for letter in letters} >= {"not-json", "not-utf8", "empty", "far-future", "ancient"}
    assert windows(stack)[0][3] == 3


def test_a_task_that_fails_is_reported_with_its_stderr_and_disturbs_no_other(make_stack: StackFactory) -> None:
    stack = make_stack(SHARD_SIZE="1", TASK_RETRIES="1")
    store = stack.product.store
    sent = send(stack, FLEET.readings(END - FRESH - HISTORY, END - FRESH), readings_per_event=20)
    wait_until_ingested(stack, sent)
    # The first shard's pointer is damaged: its task can't know what it would replace.
    models = stack.product.blobs.get_container_client("models")
    models.upload_blob("shard=000000/current.json", b"?")

    run = fire_and_wait(stack, "train")

    assert run.tasks == {"planned": 0, "running": 0, "succeeded": 3, "failed": 1}
    (failed,) = [task for task in store.tasks(run.run_id) if task.state == "failed"]
    assert (failed.spec.shard, failed.exit_code, failed.retries) == (0, 1, 1)
    assert "current.json" in failed.detail
    assert [sensor.state for sensor in store.sensors()] == ["no-data", "ready", "ready", "ready"]
    logs = stack.product.blobs.get_container_client("task-logs")
    assert f"{run.run_id}/train-000000/stderr.txt" in {blob.name for blob in logs.list_blobs()}


@pytest.mark.skipif(
    not (DATA / "sensor_data.csv").exists(),
    reason=f"no sensor_data.csv in {DATA}; SENSORWATCH_TEST_DATA names its folder",
)
def test_the_recorded_readings_of_another_year_come_through_to_alerts(make_stack: StackFactory) -> None:
    # The recording is even noise without episodes: single windows out of range are all there is to alert on.
    stack = make_stack(ALERT_ANOMALOUS_WINDOWS="1")
    store = stack.product.store
    recording = read_recording(DATA / "sensor_data.csv")
    assert len(recording.readings) == 17_768
    middle = datetime(2018, 8, 29, 1, 30, tzinfo=UTC)
    first, rest = recording.between(None, middle), recording.between(middle, None)

    sent = send(stack, first.readings)
    wait_until_ingested(stack, sent)
    fire_and_wait(stack, "train")
    assert [sensor.state for sensor in store.sensors()] == ["ready"] * 15
    sent += send(stack, rest.readings)
    wait_until_ingested(stack, sent)
    fire_and_wait(stack, "score")

    assert counts(stack) == (17_768, 17_768, 0, 0, 0)
    assert len(windows(stack)) == store.window_count() == len({(r.device, r.tag, r.ticks) for r in recording.readings})
    assert len(store.anomalies(limit=1000)) > 0
    assert len(store.alerts(limit=1000)) > 0


def _has_ingested(stack: Stack, readings: float) -> bool:
    return counts(stack).accepted >= readings


def _succeeded(host_url: str, function: str) -> int:
    invocations = httpx.get(f"{host_url}/admin/host/status").json()["invocations"]
    return int(invocations.get(function, {}).get("succeeded", 0))


def _job_ids(values: Mapping[str, str]) -> set[str]:
    account = (values["BATCH_ACCOUNT_URL"], values["BATCH_ACCOUNT_NAME"], values["BATCH_ACCOUNT_KEY"])
    with batch_client(*account) as client:
        return {job.id for job in client.list_jobs()}
