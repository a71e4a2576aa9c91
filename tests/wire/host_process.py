"""A small function app and the processes that run it, for the tests of the Functions host."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from azure.core.exceptions import ResourceExistsError
from azure.eventhub import EventData, EventHubProducerClient
from azure.storage.blob import BlobServiceClient
from local_stack import ROOT, wait_until

if TYPE_CHECKING:
    pass

NAMES = count(1)

HOST_JSON = {
    "version": "2.0",
    "extensions": {
        "eventHubs": {"maxEventBatchSize": 20, "prefetchCount": 100},
        "blobs": {"maxDegreeOfParallelism": 2, "poisonBlobThreshold": 3},
    },
}

# Every function writes what it got as a line to a file of its name.
APP = """
import json, os, pathlib, time, typing
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
out = pathlib.Path(os.environ["SAMPLE_OUT"])


def note(function, **record):
    with (out / function).open("a") as file:
        file.write(json.dumps(record) + "\\n")


@app.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%")
def tick(timer: func.TimerRequest) -> None:
    note("tick", past_due=timer.past_due, status=timer.schedule_status)


@app.blob_trigger(arg_name="blob", path="%INBOX%/{name}.txt", connection="AzureWebJobsStorage", source="EventGrid")
def copy(blob: func.InputStream) -> None:
    body = blob.read().decode()
    note("copy", name=blob.name, body=body, length=blob.length, uri=blob.uri)
    if body == "bad":
        raise ValueError("a bad blob")


@app.event_hub_message_trigger(
    arg_name="events", event_hub_name="%HUB%", connection="EventHub", cardinality="many", data_type="binary"
)
@app.retry(strategy="fixed_delay", max_retry_count="1", delay_interval="00:00:00")
def take(events: typing.List[func.EventHubEvent], context: func.Context) -> None:
    bodies = [event.get_body().decode() for event in events]
    partition = events[0].metadata["PartitionContext"]["PartitionId"]
    retry = context.retry_context.retry_count
    note(
        "take",
        partition=partition,
        bodies=bodies,
        numbers=[event.sequence_number for event in events],
        key=events[0].partition_key,
        enqueued=events[0].enqueued_time.isoformat(),
        properties=events[0].metadata["PropertiesArray"][0],
        retry=retry,
    )
    if "fail always" in bodies or ("fail once" in bodies and retry == 0):
        raise RuntimeError("a bad batch")
    while "wait" in bodies and not (out / "go on").exists():
        time.sleep(0.02)


@app.event_hub_message_trigger(
    arg_name="event", event_hub_name="%HUB%", connection="EventHub", consumer_group="single", data_type="binary",
    cardinality="one",
)
def take_one(event: func.EventHubEvent) -> None:
    note("take_one", body=event.get_body().decode(), number=event.sequence_number, key=event.partition_key)


@app.route("things/{id:int}/{part?}", methods=["GET", "POST"])
async def things(req: func.HttpRequest) -> func.HttpResponse:
    if req.route_params["id"] == "13":
        raise RuntimeError("the secret reason")
    answer = {"route": dict(req.route_params), "query": dict(req.params), "body": req.get_body().decode()}
    headers = {"x-agent": req.headers["X-Agent"]} if "x-agent" in req.headers else None
    return func.HttpResponse(json.dumps(answer), status_code=201, mimetype="application/json", headers=headers)


@app.route("text")
def text(req: func.HttpRequest) -> str:
    return "plain"
"""


class Process:
    """A server module of the local stack, with its output in a file."""

    def __init__(self, module: str, *arguments: str, log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "--exit-with-parent"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
            )

    def wait(self) -> int:
        return self.process.wait(timeout=60)

    def end(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        return self.wait()

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")


class Broker:
    def __init__(self, folder: Path, port: int, hubs: list[str]) -> None:
        self.connection = (
            f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=local;SharedAccessKey=local;"
            "UseDevelopmentEmulator=true"
        )
        arguments = ["--port", str(port), "--data", str(folder / "hubs"), "--consumer-group", "single"]
        self._arguments = arguments + [part for hub in hubs for part in ("--hub", hub)]
        self._folder = folder
        self.start()

    def start(self) -> None:
        self.process = Process("local.eventhubs", *self._arguments, log=self._folder / "broker.log")

    def send(self, hub: str, *bodies: str, key: str | None = None) -> None:
        events = [EventData(body) for body in bodies]
        for event in events:
            event.properties = {"kind": "reading"}
        with EventHubProducerClient.from_connection_string(self.connection, eventhub_name=hub) as producer:
            producer.send_batch(list(events), partition_key=key)


class RunningHost:
    """A Functions host over the sample app, and what its functions wrote."""

    def __init__(self, folder: Path, port: int, settings: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.out = folder / "out"
        self._folder = folder
        self._arguments = ["--app", str(folder), "--port", str(port), "--blob-poll-seconds", "0.1"]
        self._settings = {**settings, "SAMPLE_OUT": str(self.out)}
        self.out.mkdir(exist_ok=True)
        (folder / "function_app.py").write_text(APP)
        (folder / "host.json").write_text(json.dumps(HOST_JSON))
        self.start()

    def start(self) -> None:
        self.process = Process(
            "local.functions_host", *self._arguments, log=self._folder / "host.log", environment=self._settings
        )

    def wait_until_running(self) -> None:
        wait_until(lambda: self.status().get("state") == "Running", f"{self.url} to run: {self.process.log_text()}")

    def status(self) -> dict[str, Any]:
        assert self.process.process.poll() is None, self.process.log_text()
        with contextlib.suppress(httpx.TransportError):
            answer: dict[str, Any] = httpx.get(f"{self.url}/admin/host/status").json()
            return answer
        return {}

    def fire(self, name: str, text: str | None = None) -> int:
        return httpx.post(
            f"{self.url}/admin/functions/{name}", json={} if text is None else {"input": text}
        ).status_code

    def lines(self, name: str) -> list[dict[str, Any]]:
        file = self.out / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def bodies(self) -> list[str]:
        return [body for line in self.lines("take") for body in line["bodies"]]

    def wait_for(self, name: str, number: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.lines(name)) >= number, f"{number} calls of {name}")
        return self.lines(name)


HUBS = ["shared:2", *(f"hub{number}:1" for number in range(1, 6))]


def app_settings(azurite: str, broker: Broker, **more: str) -> dict[str, str]:
    return {
        "AzureWebJobsStorage": azurite,
        "EventHub": broker.connection,
        "HUB": "hub1",
        # Once a year: a test that wants it due says so.
        "TICK_SCHEDULE": "0 0 0 1 1 *",
        **more,
    }


def upload(azurite: str, container: str, name: str, body: str) -> None:
    with BlobServiceClient.from_connection_string(azurite, retry_total=0) as service:
        with contextlib.suppress(ResourceExistsError):
            service.create_container(container)
        service.get_blob_client(container, name).upload_blob(body, overwrite=True)
