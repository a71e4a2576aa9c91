"""The Functions host's start and stop: what it waits for, what it refuses, and that it ends."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from azure.core.exceptions import AzureError
from host_process import APP, Broker, Process, RunningHost, upload
from local_stack import pick_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ("host_fixtures",)
pytestmark = pytest.mark.wire

# Start and stop


def test_the_host_waits_for_a_storage_that_comes_later_or_goes_away(
    tmp_path: Path, azurite: str, broker: Broker, start_host: Callable[..., RunningHost]
) -> None:
    port = pick_port()
    later = ";".join(part for part in azurite.split(";") if not part.startswith("BlobEndpoint"))
    connection = f"{later}BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    running = start_host(AzureWebJobsStorage=connection, HUB="hub5", INBOX="inbox")
    wait_until(lambda: "blob storage does not answer" in running.process.log_text(), "the host to notice")
    assert running.status()["state"] == "Initialized"

    def start_storage() -> Process:
        arguments = ("--port", str(port), "--data", str(tmp_path / "az"))
        return Process("local.azurite", *arguments, log=tmp_path / "az.log")

    storage = start_storage()
    running.wait_until_running()
    storage.end(signal.SIGTERM)
    broker.send("hub5", "while it was away")
    storage = start_storage()
    wait_until(lambda: "while it was away" in running.bodies(), "the event")
    wait_until(lambda: _canupload(connection, "inbox", "a.txt"), "the storage to be back")
    running.wait_for("copy", 1)
    storage.end(signal.SIGTERM)


def _canupload(connection: str, container: str, name: str) -> bool:
    with contextlib.suppress(AzureError):
        upload(connection, container, name, "x")
        return True
    return False


def test_the_host_ends_when_its_parent_is_gone(start_host: Callable[..., RunningHost]) -> None:
    running = start_host()
    wait_until(running.status, "the host to answer")
    stdin = running.process.process.stdin
    assert stdin
    stdin.close()
    assert running.process.wait() == 0


def _fails_to_start(folder: Path, port: int, app: str, settings: dict[str, str]) -> tuple[int, str]:
    (folder / "function_app.py").write_text(app)
    (folder / "host.json").write_text('{"version": "2.0"}')
    process = Process(
        "local.functions_host",
        *("--app", str(folder), "--port", str(port)),
        log=folder / "log",
        environment=settings,
    )
    return process.wait(), process.log_text()


def test_a_port_in_use_is_named_with_its_setting(host: RunningHost, tmp_path: Path) -> None:
    port = httpx.URL(host.url).port
    assert port
    code, text = _fails_to_start(tmp_path, port, APP, {})
    assert code == 3
    assert len(text.splitlines()) == 1
    assert str(port) in text
    assert "Host.LocalHttpPort in local.settings.json" in text


TIMER = """
import typing
import azure.functions as func
app = func.FunctionApp()
@app.timer_trigger(arg_name="{argument}", schedule="{schedule}")
def work({argument}) -> None: ...
"""
EVENTS = """
import typing
import azure.functions as func
app = func.FunctionApp()
@app.event_hub_message_trigger(arg_name="events", event_hub_name="hub", connection="Missing", cardinality="many")
def work(events: {annotation}) -> None: ...
"""
STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


@pytest.mark.parametrize(
    ("app", "settings", "expected"),
    [
        ("raise RuntimeError('broken app')", {}, ["Traceback", "RuntimeError: broken app"]),
        ("import azure.functions as func\napp = func.FunctionApp()", {}, ["0 functions"]),
        ("x = 1", {}, ["func.FunctionApp", "got 0"]),
        (TIMER.format(argument="timer", schedule="%WHEN%"), STORAGE, ["function work", "timer", "WHEN"]),
        (TIMER.format(argument="timer", schedule="@daily"), STORAGE, ["function work", "@daily"]),
        (TIMER.format(argument="my_timer", schedule="0 0 * * * *"), STORAGE, ["function work", "my_timer"]),
        (TIMER.format(argument="timer", schedule="0 0 * * * *"), {"AzureWebJobsStorage": ""}, ["AzureWebJobsStorage"]),
        (EVENTS.format(annotation="typing.List[func.EventHubEvent]"), STORAGE, ["function work", "events", "Missing"]),
        (EVENTS.format(annotation="typing.List[str]"), STORAGE, ["function work", "List[func.EventHubEvent]"]),
    ],
)
def test_an_app_that_can_not_run_says_why(
    tmp_path: Path, free_port: int, app: str, settings: dict[str, str], expected: list[str]
) -> None:
    code, text = _fails_to_start(tmp_path, free_port, app, settings)
    assert code == 4
    for part in expected:
        assert part in text
