"""Spans and their context, metrics, exporters by setting, and following a reading through a file of spans."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from telemetry_memory import MemoryTelemetry, telemetry_in_memory

from sensorwatch.alerts.metrics import count_published
from sensorwatch.alerts.records import PublishOutcome
from sensorwatch.errors import InvalidInputError, NotFoundError, SettingsError
from sensorwatch.ingestion.metrics import count_readings
from sensorwatch.ingestion.records import IngestCounts
from sensorwatch.settings import load_settings
from sensorwatch.telemetry import current_traceparent, metrics, span
from sensorwatch.telemetry.providers import enabled
from sensorwatch.telemetry.recorded import ReadingToFollow, RecordedSpan, Recording
from sensorwatch.telemetry.tracing import attached

MINIMAL = {"DATABASE_URL": "sqlite:///:memory:"}
ELSEWHERE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def memory() -> Iterator[MemoryTelemetry]:
    with telemetry_in_memory() as recorded:
        yield recorded


# ---- context ---------------------------------------------------------------------------------------------------------


def test_without_an_exporter_there_are_no_traces_and_nothing_to_send_along() -> None:
    assert not enabled()
    with span("ingest", links=[ELSEWHERE]) as current:
        assert not current.is_recording()
        assert current_traceparent() is None
    metrics.RECEIVED.record(1)


def test_a_context_goes_from_one_process_to_the_next(memory: MemoryTelemetry) -> None:
    with span("submit score", kind="producer"):
        sent = current_traceparent()
    with attached(sent), span("score"):
        written = current_traceparent()
    with span("publish", parent=written):
        pass
    (first,), (second,), (third,) = (memory.spans(name) for name in ("submit score", "score", "publish"))
    assert first.context.trace_id == second.context.trace_id == third.context.trace_id
    assert second.parent is not None
    assert second.parent.span_id == first.context.span_id
    assert third.parent is not None
    assert third.parent.span_id == second.context.span_id
    assert sent is not None
    assert sent.startswith(f"00-{first.context.trace_id:032x}-{first.context.span_id:016x}-0")


@pytest.mark.parametrize("text", [None, "", "nonsense", ELSEWHERE[:-1], "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
def test_an_invalid_traceparent_begins_a_new_trace(memory: MemoryTelemetry, text: str | None) -> None:
    with attached(text), span("score", parent=text, links=[text or ""]):
        pass
    (only,) = memory.spans("score")
    assert only.parent is None
    assert list(only.links) == []


def test_a_batch_has_links_to_its_senders_and_no_parent(memory: MemoryTelemetry) -> None:
    with span("ingest", kind="consumer", links=[ELSEWHERE, "nonsense"]):
        pass
    (batch,) = memory.spans("ingest")
    assert batch.parent is None
    assert [f"{link.context.span_id:016x}" for link in batch.links] == ["b7ad6b7169203331"]


def test_an_error_is_recorded_and_raised(memory: MemoryTelemetry) -> None:
    with pytest.raises(NotFoundError), span("train"):
        raise NotFoundError("no such shard")
    (failed,) = memory.spans("train")
    assert failed.status.description == "NotFoundError: no such shard"
    assert trace.get_current_span().get_span_context().is_valid is False


# ---- metrics ---------------------------------------------------------------------------------------------------------


def test_readings_are_counted_by_what_became_of_them(memory: MemoryTelemetry) -> None:
    count_readings(IngestCounts(10, 5, 2, 2, 1), 3.5)
    count_readings(IngestCounts(4, 4, 0, 0, 0), -1.0)
    totals = memory.totals()
    assert totals == {
        "sensorwatch.readings.received": 14,
        "sensorwatch.readings.accepted": 9,
        "sensorwatch.readings.late": 2,
        "sensorwatch.readings.duplicate": 2,
        "sensorwatch.readings.invalid": 1,
        "sensorwatch.dead_letters": 3,
        "sensorwatch.ingest.lag": 2,
    }
    lag = memory.points()["sensorwatch.ingest.lag", ""]
    assert (lag.sum, lag.max, lag.min) == (3.5, 3.5, 0.0)


def test_published_anomalies_and_alerts_are_counted(memory: MemoryTelemetry) -> None:
    count_published(PublishOutcome(5, 2, 1, 0))
    count_published(PublishOutcome(0, 0, 0, 3))
    assert memory.totals() == {
        "sensorwatch.anomalies": 5,
        "sensorwatch.anomalies.withdrawn": 2,
        "sensorwatch.alerts.opened": 1,
        "sensorwatch.alerts.cleared": 3,
    }


# ---- exporters -------------------------------------------------------------------------------------------------------

_SET_UP = """
import json, os, sys
from sensorwatch.settings import load_settings
from sensorwatch.ingestion.metrics import count_readings
from sensorwatch.alerts.metrics import count_published
from sensorwatch.telemetry import metrics, span
from sensorwatch.telemetry.exporting import set_up
settings = load_settings(os.environ)
for _ in range(2):
    set_up(settings, "sensorwatch-tasks")
with span("score", attributes={"sensorwatch.shard": 3}):
    metrics.TASK_DURATION.record(2.5, kind="score")
metrics.LATE.record(4)
metrics.SINKS_FAILING.record(1)
print("opentelemetry.sdk" in sys.modules)
"""


def in_a_process(**values: str) -> subprocess.CompletedProcess[str]:
    """Set telemetry up in a process of its own, as it is once in each, and end it."""
    environment = MINIMAL | values
    return subprocess.run([sys.executable, "-c", _SET_UP], env=environment, capture_output=True, text=True, check=False)


def test_the_sdk_is_loaded_where_an_exporter_is_named_only(tmp_path: Path) -> None:
    assert in_a_process().stdout == "False\n"
    assert in_a_process(TELEMETRY_EXPORTER="file", TELEMETRY_FILE=str(tmp_path / "new/t.jsonl")).stdout == "True\n"


def test_the_files_of_all_processes_give_the_totals(tmp_path: Path) -> None:
    file = tmp_path / "telemetry.jsonl"
    for _ in range(2):
        assert in_a_process(TELEMETRY_EXPORTER="file", TELEMETRY_FILE=str(file)).returncode == 0
    parts = list(tmp_path.iterdir())
    assert len(parts) == 2
    with parts[0].open("a") as unfinished:
        unfinished.write('{"span": "sco')
    recording = Recording.read(file)
    assert [(each.name, each.service) for each in recording.spans] == [("score", "sensorwatch-tasks")] * 2
    assert recording.spans[0].attributes == {"sensorwatch.shard": 3}
    assert recording.total("sensorwatch.readings.late") == 8
    assert recording.total("sensorwatch.task.duration", kind="score") == 2
    assert recording.total("sensorwatch.task.duration", kind="train") == 0


def test_the_console_is_standard_error() -> None:
    ended = in_a_process(TELEMETRY_EXPORTER="console")
    assert ended.stdout == "True\n"
    assert '"name": "score"' in ended.stderr
    assert "sensorwatch.readings.late" in ended.stderr


def test_application_insights_needs_its_address() -> None:
    with pytest.raises(SettingsError, match="APPLICATIONINSIGHTS_CONNECTION_STRING: missing"):
        load_settings(MINIMAL | {"TELEMETRY_EXPORTER": "azure"})


def test_an_exporter_that_does_not_exist_is_named() -> None:
    with pytest.raises(SettingsError, match=r"TELEMETRY_EXPORTER: .*'azure'; got `jaeger`"):
        load_settings(MINIMAL | {"TELEMETRY_EXPORTER": "jaeger"})


def test_tasks_get_the_exporter_with_the_other_settings() -> None:
    given = {"TELEMETRY_EXPORTER": "azure", "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=1"}
    assert given.items() <= load_settings(MINIMAL | given).task_environment().items()


# ---- following a reading ---------------------------------------------------------------------------------------------

READING = ReadingToFollow("press-1", sensor_id=7, shard=0, first_ticks=50, last_ticks=50, end=5)


def recorded(
    name: str, number: int, parent: int | None = None, link: int | None = None, **about: object
) -> RecordedSpan:
    attributes = {f"sensorwatch.{key.replace('__', '.')}": value for key, value in about.items()}
    return RecordedSpan(
        name=name,
        service="test",
        trace_id="1" * 32,
        span_id=f"{number:016x}",
        parent_id=None if parent is None else f"{parent:016x}",
        start=f"2026-11-20T10:00:{number:02}+00:00",
        seconds=0.1,
        error=None,
        attributes=attributes,
        links=[] if link is None else [f"{link:016x}"],
    )


def test_a_reading_is_traced_over_links_and_windows_to_the_notifications_of_its_sensor() -> None:
    spans = [
        recorded("send", 1, device="press-1", ticks__first=10, ticks__last=49),
        recorded("send", 2, device="press-1", ticks__first=50, ticks__last=90),
        recorded("send", 3, device="press-2", ticks__first=50, ticks__last=90),
        recorded("ingest", 4, link=2),
        recorded("ingest", 5, link=3),
        recorded("submit score", 6),
        recorded("score", 7, parent=6, shard=0, windows__after=0, windows__until=5),
        recorded("score", 8, parent=6, shard=1, windows__after=0, windows__until=5),
        recorded("publish", 9, parent=7),
        recorded("deliver", 10, parent=9, sensor_id=7, alert__opened_end=0),
        recorded("deliver", 11, parent=9, sensor_id=8, alert__opened_end=5),
        recorded("serve", 13),
        recorded("deliver", 14, parent=13, sensor_id=7, alert__opened_end=5),
        recorded("score", 12, shard=0, windows__after=5, windows__until=10),
    ]
    steps = Recording(spans, []).follow(READING)
    assert [(step.depth, int(step.span.span_id, 16), step.link) for step in steps] == [
        (0, 2, None),
        (1, 4, "sent"),
        (0, 6, "window"),
        (1, 7, None),
        (2, 9, None),
        (3, 10, None),
        (0, 13, "alert"),
        (1, 14, None),
    ]


def test_a_reading_of_a_device_without_a_trace_begins_with_the_run() -> None:
    spans = [recorded("score", 7, shard=0, windows__after=0, windows__until=5), recorded("ingest", 4)]
    assert [(step.depth, step.span.name, step.link) for step in Recording(spans, []).follow(READING)] == [
        (0, "score", "window")
    ]


def test_a_file_that_is_missing_or_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="set TELEMETRY_EXPORTER to file"):
        Recording.read(tmp_path / "none.jsonl")
    file = tmp_path / "other.jsonl"
    file.write_text(json.dumps({"span": 1})[:-1] + "\n")
    with pytest.raises(InvalidInputError, match="line 1: expected a JSON object"):
        Recording.read(file)
