"""The metrics, one line each; ``docs/operations/observability.md``, the workbook and the alert rules name the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from sensorwatch.telemetry import providers

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import Meter

    from sensorwatch.records import IngestCounts, PublishOutcome

__all__ = ["METRICS", "Metric", "count_alerts", "count_published", "count_readings"]

# Seconds: from what is at once to a day; the defaults of OpenTelemetry are meant for milliseconds.
_BOUNDARIES = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by its name; ``unit`` as in UCUM, ``attributes`` are those that each measurement has."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    meaning: str
    attributes: tuple[str, ...] = ()

    def record(self, value: float, **attributes: str) -> None:
        """Add to a counter, put into a histogram, or set a gauge."""
        _instrument(self, providers.meter())(value, attributes)


@lru_cache(maxsize=128)
def _instrument(metric: Metric, meter: Meter) -> Callable[[float, dict[str, str]], None]:
    match metric.kind:
        case "counter":
            return meter.create_counter(metric.name, metric.unit, metric.meaning).add
        case "histogram":
            return meter.create_histogram(
                metric.name, metric.unit, metric.meaning, explicit_bucket_boundaries_advisory=_BOUNDARIES
            ).record
        case "gauge":
            return meter.create_gauge(metric.name, metric.unit, metric.meaning).set


RECEIVED = Metric("sensorwatch.readings.received", "counter", "{reading}", "Readings that ingestion was given.")
ACCEPTED = Metric("sensorwatch.readings.accepted", "counter", "{reading}", "Those of them that are in a window now.")
LATE = Metric("sensorwatch.readings.late", "counter", "{reading}", "Those that came too late for their window.")
DUPLICATE = Metric("sensorwatch.readings.duplicate", "counter", "{reading}", "Those that had been taken in before.")
INVALID = Metric("sensorwatch.readings.invalid", "counter", "{reading}", "Those that can't be used.")
INGEST_LAG = Metric(
    "sensorwatch.ingest.lag", "histogram", "s", "How long a batch's first event had waited in the hub when it was done."
)
DEAD_LETTERS = Metric("sensorwatch.dead_letters", "counter", "{reading}", "Readings that went to the dead letters.")
TASK_DURATION = Metric(
    "sensorwatch.task.duration", "histogram", "s", "How long a task worked, failed ones too.", ("kind",)
)
MODEL_AGE = Metric(
    "sensorwatch.model.age", "histogram", "s", "How old a shard's newest models were when they were applied."
)
ANOMALIES = Metric("sensorwatch.anomalies", "counter", "{window}", "Anomalous windows that were stored.")
WITHDRAWN = Metric(
    "sensorwatch.anomalies.withdrawn", "counter", "{window}", "Those that turned out normal, and were removed."
)
ALERTS_OPENED = Metric("sensorwatch.alerts.opened", "counter", "{alert}", "Alerts that opened.")
ALERTS_CLEARED = Metric("sensorwatch.alerts.cleared", "counter", "{alert}", "Alerts that cleared by themselves.")
CYCLES_MISSED = Metric(
    "sensorwatch.cycles.missed",
    "counter",
    "{cycle}",
    "Timers that came past due or could not submit, and runs of which a task failed for good.",
    ("kind",),
)
POOL_ERRORS = Metric("sensorwatch.pool.errors", "gauge", "{error}", "What keeps the pool from getting its nodes.")
SINKS_FAILING = Metric("sensorwatch.sinks.failing", "gauge", "{sink}", "Sinks that failed three times in a row.")

METRICS = (
    RECEIVED,
    ACCEPTED,
    LATE,
    DUPLICATE,
    INVALID,
    INGEST_LAG,
    DEAD_LETTERS,
    TASK_DURATION,
    MODEL_AGE,
    ANOMALIES,
    WITHDRAWN,
    ALERTS_OPENED,
    ALERTS_CLEARED,
    CYCLES_MISSED,
    POOL_ERRORS,
    SINKS_FAILING,
)


def count_readings(counts: IngestCounts, lag_seconds: float) -> None:
    """Count a batch that ingestion took in, whose first event had waited so long."""
    RECEIVED.record(counts.received)
    ACCEPTED.record(counts.accepted)
    INGEST_LAG.record(max(0.0, lag_seconds))
    for metric, number in ((LATE, counts.late), (DUPLICATE, counts.duplicate), (INVALID, counts.invalid)):
        if number:
            metric.record(number)
    if counts.late or counts.invalid:
        DEAD_LETTERS.record(counts.late + counts.invalid)


def count_published(outcome: PublishOutcome) -> None:
    """Count what storing anomalies changed."""
    if outcome.anomalies_added:
        ANOMALIES.record(outcome.anomalies_added)
    if outcome.anomalies_withdrawn:
        WITHDRAWN.record(outcome.anomalies_withdrawn)
    count_alerts(outcome.alerts_opened, outcome.alerts_cleared)


def count_alerts(opened: int, cleared: int) -> None:
    """Count alerts that opened and cleared."""
    if opened:
        ALERTS_OPENED.record(opened)
    if cleared:
        ALERTS_CLEARED.record(cleared)
