"""The real exporters against receivers on loopback: what a collector, and what Application Insights gets."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from local_stack import pick_port
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sensorwatch import __version__

pytestmark = pytest.mark.wire

_PROCESS = """
import os, sys
from sensorwatch.settings import load_settings
from sensorwatch.telemetry import exporting, metrics, providers, span
settings = load_settings(os.environ)
if settings.telemetry_exporter == "azure":
    # By identity it talks to nothing but TLS; the rest is the same.
    exporters = exporting.azure_exporters(settings.applicationinsights_connection_string, None)
    providers.use(exporting.providers_of(exporters, "sensorwatch-tasks"))
else:
    exporting.set_up(settings, "sensorwatch-tasks")
with span("score", attributes={"sensorwatch.shard": 3}):
    metrics.TASK_DURATION.record(2.5, kind="score")
metrics.ACCEPTED.record(12)
metrics.POOL_ERRORS.record(1)
"""


class Receiver:
    """Keeps what is posted, by path."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.bodies.append((self.path, body))
                count = body.count(b'"iKey"')
                answer = json.dumps({"itemsReceived": count, "itemsAccepted": count, "errors": []}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer) if count else 0))
                self.end_headers()
                self.wfile.write(answer if count else b"")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.close()


def run(**values: str) -> subprocess.CompletedProcess[str]:
    """Work a little in a process that ends, which is when the last of it is exported."""
    environment = {"DATABASE_URL": "sqlite:///:memory:", **values}
    return subprocess.run([sys.executable, "-c", _PROCESS], env=environment, capture_output=True, text=True, check=True)


def test_a_collector_gets_spans_and_metrics(receiver: Receiver) -> None:
    run(TELEMETRY_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=f"{receiver.url}/")
    by_path = dict(receiver.bodies)
    (spans,) = ExportTraceServiceRequest.FromString(by_path["/v1/traces"]).resource_spans
    (span,) = spans.scope_spans[0].spans
    assert (span.name, span.attributes[0].key, span.attributes[0].value.int_value) == ("score", "sensorwatch.shard", 3)
    about = {each.key: each.value.string_value for each in spans.resource.attributes}
    assert (about["service.name"], about["service.version"]) == ("sensorwatch-tasks", __version__)
    (found,) = ExportMetricsServiceRequest.FromString(by_path["/v1/metrics"]).resource_metrics
    points: dict[str, Any] = {metric.name: metric for metric in found.scope_metrics[0].metrics}
    assert points["sensorwatch.readings.accepted"].sum.data_points[0].as_int == 12
    duration = points["sensorwatch.task.duration"]
    assert (duration.unit, duration.histogram.data_points[0].sum) == ("s", 2.5)


def test_application_insights_gets_spans_and_metrics_by_the_names_that_alert_rules_ask_for(receiver: Receiver) -> None:
    key = "00000000-0000-0000-0000-000000000001"
    connection = f"InstrumentationKey={key};IngestionEndpoint={receiver.url}/;LiveEndpoint={receiver.url}/"
    run(TELEMETRY_EXPORTER="azure", APPLICATIONINSIGHTS_CONNECTION_STRING=connection)
    items = [item for path, body in receiver.bodies if path.startswith("/v2") for item in json.loads(body)]
    assert {item["iKey"] for item in items} == {key}
    measured = {
        each["name"]: each
        for item in items
        if item["data"]["baseType"] == "MetricData"
        for each in item["data"]["baseData"]["metrics"]
    }
    assert measured["sensorwatch.readings.accepted"]["value"] == 12
    assert (measured["sensorwatch.task.duration"]["value"], measured["sensorwatch.task.duration"]["max"]) == (2.5, 2.5)
    assert measured["sensorwatch.pool.errors"]["value"] == 1
    (span,) = [item["data"]["baseData"] for item in items if item["data"]["baseType"] == "RemoteDependencyData"]
    assert (span["name"], span["properties"]["sensorwatch.shard"]) == ("score", "3")
    # It reports on nothing but us, and to nobody else.
    assert {path.split("?")[0] for path, _ in receiver.bodies} == {"/v2.1/track"}


def test_an_unreachable_collector_is_reported_and_breaks_nothing() -> None:
    away = f"http://127.0.0.1:{pick_port()}"
    ended = run(TELEMETRY_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT=away, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert "Failed to export" in ended.stderr
