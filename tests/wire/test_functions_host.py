"""The Functions host with a small app, against Azurite and the Event Hubs broker."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from azure.storage.blob import BlobServiceClient
from host_process import HOST_JSON, Broker, RunningHost, upload
from local_stack import pick_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ("host_fixtures",)
pytestmark = pytest.mark.wire

# HTTP and admin


def test_http_function_gets_the_request_and_its_answer_goes_out(host: RunningHost) -> None:
    response = httpx.post(
        f"{host.url}/api/things/7/part?a=1&a=2&b=x", content=b"the body", headers={"X-Agent": "tester"}
    )
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-agent"] == "tester"
    assert response.json() == {
        "route": {"id": "7", "part": "part"},
        "query": {"a": "1,2", "b": "x"},
        "body": "the body",
    }


def test_a_function_may_answer_with_text(host: RunningHost) -> None:
    response = httpx.put(f"{host.url}/api/text")
    assert (response.status_code, response.text) == (200, "plain")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/things/x"), ("DELETE", "/api/things/7"), ("GET", "/nothing")]
)
def test_no_route_is_404(host: RunningHost, method: str, path: str) -> None:
    assert httpx.request(method, host.url + path).status_code == 404


def test_an_exception_is_500_and_keeps_its_reason_in_the_log(host: RunningHost) -> None:
    response = httpx.get(f"{host.url}/api/things/13")
    assert response.status_code == 500
    assert "secret reason" not in response.text
    assert "Traceback" not in response.text
    assert "the secret reason" in host.process.log_text()


def test_requests_by_another_host_name_are_refused(host: RunningHost) -> None:
    assert httpx.get(f"{host.url}/api/text", headers={"Host": "sensors.example"}).status_code == 400


def test_a_web_page_can_not_fire_functions(host: RunningHost) -> None:
    response = httpx.post(f"{host.url}/admin/functions/tick", content=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415


def test_firing_an_unknown_function_is_404(host: RunningHost) -> None:
    assert host.fire("nothing") == 404


def test_a_timer_fired_by_hand_is_not_past_due(host: RunningHost) -> None:
    before = len(host.lines("tick"))
    assert host.fire("tick") == 202
    assert host.wait_for("tick", before + 1)[-1]["past_due"] is False


def test_events_given_by_hand_come_as_from_a_partition_called_manual(host: RunningHost) -> None:
    assert host.fire("take", '["by hand", {"a": 1}]') == 202
    line = wait_until(
        lambda: [line for line in host.lines("take") if line["partition"] == "manual"], "the events given by hand"
    )[0]
    assert line["bodies"] == ["by hand", '{"a": 1}']
    assert line["numbers"][0] < line["numbers"][1]


def test_status_counts_invocations_of_every_function(host: RunningHost) -> None:
    httpx.get(f"{host.url}/api/text")
    status = host.status()
    assert status["invocations"]["text"]["succeeded"] >= 1
    assert status["functions"]["take"] == {"type": "eventHubTrigger", "state": "Running"}


def test_functions_are_listed_with_their_bindings(host: RunningHost) -> None:
    functions = {entry["name"]: entry for entry in httpx.get(f"{host.url}/admin/functions").json()}
    assert set(functions) == {"copy", "take", "take_one", "text", "things", "tick"}
    assert functions["copy"]["config"]["bindings"][0]["path"] == "shared-inbox/{name}.txt"


# Blobs


def test_a_blob_is_delivered_once_and_again_when_it_is_overwritten(host: RunningHost, azurite: str) -> None:
    def got() -> list[str]:
        return [line["body"] for line in host.lines("copy") if line["name"] == "shared-inbox/one.txt"]

    upload(azurite, "shared-inbox", "ignored.csv", "not matched")
    upload(azurite, "shared-inbox", "one.txt", "first")
    wait_until(lambda: got() == ["first"], "the new blob")
    upload(azurite, "shared-inbox", "one.txt", "second")
    wait_until(lambda: got() == ["first", "second"], "the overwritten blob")
    line = next(line for line in host.lines("copy") if line["body"] == "first")
    assert line["length"] == 5
    assert line["uri"].endswith("/shared-inbox/one.txt")
    assert not [line for line in host.lines("copy") if line["name"].endswith(".csv")]


def test_a_blob_fired_by_hand_is_delivered_again(host: RunningHost, azurite: str) -> None:
    def times() -> int:
        return len([line for line in host.lines("copy") if line["name"] == "shared-inbox/again.txt"])

    upload(azurite, "shared-inbox", "again.txt", "x")
    wait_until(lambda: times() == 1, "the new blob")
    assert host.fire("copy", "shared-inbox/again.txt") == 202
    wait_until(lambda: times() == 2, "the blob fired by hand")


def test_a_bad_blob_is_given_up_with_a_poison_message_and_stays_so_after_a_restart(
    start_host: Callable[..., RunningHost], azurite: str
) -> None:
    running = start_host(INBOX="poisoned")
    upload(azurite, "poisoned", "bad.txt", "bad")
    with BlobServiceClient.from_connection_string(azurite) as service:
        container = service.get_container_client("azure-webjobs-hosts")

        def messages() -> list[dict[str, Any]]:
            with contextlib.suppress(Exception):
                blobs = container.list_blobs(name_starts_with="blobtrigger-poison/copy/")
                found = [json.loads(container.download_blob(blob.name).readall()) for blob in blobs]
                return [message for message in found if message["ContainerName"] == "poisoned"]
            return []

        (message,) = wait_until(messages, "the poison message")
        assert message["BlobName"] == "bad.txt"
        assert "a bad blob" in message["Error"]
        assert len(running.lines("copy")) == HOST_JSON["extensions"]["blobs"]["poisonBlobThreshold"]  # type: ignore[index]
        assert running.process.end(signal.SIGTERM) == 0
        running.start()
        running.wait_until_running()
        # A later blob is seen by a later look at the container, so the bad one would have been, too.
        upload(azurite, "poisoned", "good.txt", "good")
        wait_until(lambda: running.lines("copy")[-1]["body"] == "good", "the good blob")
        assert len(running.lines("copy")) == 4
        assert len(messages()) == 1


# Event hubs


def test_events_arrive_as_on_azure(host: RunningHost, broker: Broker) -> None:
    before = datetime.now(UTC)
    broker.send("shared", "a", "b", key="device")
    line = wait_until(lambda: [line for line in host.lines("take") if line["bodies"] == ["a", "b"]], "the batch")[0]
    assert line["key"] == "device"
    assert line["numbers"][1] == line["numbers"][0] + 1
    assert line["partition"] in ("0", "1")
    assert line["properties"] == {"kind": "reading"}
    assert abs(datetime.fromisoformat(line["enqueued"]) - before) < timedelta(seconds=10)

    def singly() -> list[dict[str, Any]]:
        return [line for line in host.lines("take_one") if line["body"] in ("a", "b")]

    wait_until(lambda: len(singly()) == 2, "the single events")
    singles = singly()
    assert [line["number"] for line in singles] == line["numbers"]
    assert singles[0]["key"] == "device"


def test_a_failed_batch_is_tried_again_and_skipped_when_that_fails_too(
    start_host: Callable[..., RunningHost], broker: Broker
) -> None:
    running = start_host(HUB="hub2")
    broker.send("hub2", "fail once")
    running.wait_for("take", 2)
    broker.send("hub2", "fail always")
    running.wait_for("take", 4)
    broker.send("hub2", "fine")
    lines = running.wait_for("take", 5)
    assert [(*line["bodies"], line["retry"]) for line in lines] == [
        ("fail once", 0),
        ("fail once", 1),
        ("fail always", 0),
        ("fail always", 1),
        ("fine", 0),
    ]


def test_a_killed_host_goes_on_from_its_checkpoint(start_host: Callable[..., RunningHost], broker: Broker) -> None:
    running = start_host(HUB="hub3")
    broker.send("hub3", "done")
    running.wait_for("take", 1)
    # The second event only comes after the first one's checkpoint.
    broker.send("hub3", "wait")
    running.wait_for("take", 2)
    running.process.end(signal.SIGKILL)
    (running.out / "go on").touch()
    broker.send("hub3", "new")
    running.start()
    wait_until(lambda: "new" in running.bodies(), "the events after the checkpoint")
    assert running.bodies() == ["done", "wait", "wait", "new"]


def test_a_stopped_host_leaves_what_is_not_done_to_the_next_one(
    start_host: Callable[..., RunningHost], broker: Broker
) -> None:
    running = start_host(HUB="hub4")
    broker.send("hub4", "wait")
    running.wait_for("take", 1)
    started = time.monotonic()
    assert running.process.end(signal.SIGTERM) == 0
    assert time.monotonic() - started < 8
    (running.out / "go on").touch()
    running.start()
    assert running.wait_for("take", 2)[1]["numbers"] == running.lines("take")[0]["numbers"]


def test_nothing_is_lost_while_the_broker_is_away(tmp_path: Path, start_host: Callable[..., RunningHost]) -> None:
    broker = Broker(tmp_path, pick_port(), ["hub1:1"])
    running = start_host(EventHub=broker.connection)
    running.wait_until_running()
    broker.send("hub1", "before")
    running.wait_for("take", 1)
    broker.process.end(signal.SIGKILL)
    broker.start()
    wait_until(lambda: _sent(broker, "hub1", "after"), "the broker to be back")
    wait_until(lambda: "after" in running.bodies(), "the event after the break")
    assert running.bodies() == ["before", "after"]
    broker.process.end()


def _sent(broker: Broker, hub: str, body: str) -> bool:
    with contextlib.suppress(Exception):
        broker.send(hub, body)
        return True
    return False


# Timers


def test_a_timer_is_called_when_it_is_due(start_host: Callable[..., RunningHost]) -> None:
    running = start_host(TICK_SCHEDULE="* * * * * *")
    lines = running.wait_for("tick", 2)
    assert [line["past_due"] for line in lines[:2]] == [False, False]


def test_a_timer_that_missed_runs_is_called_once_as_past_due(
    start_host: Callable[..., RunningHost], azurite: str
) -> None:
    # Midnight every first of January, last called three years ago.
    year = datetime.now(UTC).year
    status = {
        "Last": f"{year - 3}-01-01T00:00:00+00:00",
        "Next": f"{year - 2}-01-01T00:00:00+00:00",
        "LastUpdated": f"{year - 3}-01-01T00:00:01+00:00",
    }
    upload(azurite, "azure-webjobs-hosts", "timers/local/tick/status", json.dumps(status))
    running = start_host()
    (line,) = running.wait_for("tick", 1)
    assert line["past_due"] is True
    assert line["status"]["Last"] == status["Last"]
    running.wait_until_running()
    assert running.process.end(signal.SIGTERM) == 0
    running.start()
    running.wait_until_running()
    assert len(running.lines("tick")) == 1
