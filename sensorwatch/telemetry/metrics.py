"""Definitions of all metrics.

``docs/reference/metrics.md``, the workbook and the alert rules use the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from sensorwatch.telemetry import providers

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import Meter


__all__ = ["METRICS", "Metric"]

# In seconds, from a tenth of a second to a day. The defaults of OpenTelemetry suit milliseconds.
_BOUNDARIES = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400)


@dataclass(frozen=True, slots=True)
class Metric:
    """Definition of a metric. ``unit`` is a UCUM code; every measurement has the ``attributes``."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    meaning: str
    attributes: tuple[str, ...] = ()

    def record(self, value: float, **attributes: str) -> None:
        """Add to a counter, record in a histogram, or set a gauge."""
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


RECEIVED = Metric("sensorwatch.readings.received", "counter", "{reading}", "Readings that ingestion received.")
ACCEPTED = Metric(
    "sensorwatch.readings.accepted", "counter", "{reading}", "Received readings that were added to a window."
)
LATE = Metric("sensorwatch.readings.late", "counter", "{reading}", "Received readings that were late.")
DUPLICATE = Metric(
    "sensorwatch.readings.duplicate", "counter", "{reading}", "Received readings whose event had been applied before."
)
INVALID = Metric("sensorwatch.readings.invalid", "counter", "{reading}", "Received readings that could not be used.")
INGEST_LAG = Metric(
    "sensorwatch.ingest.lag", "histogram", "s", "Age of a batch's first event when the batch was committed."
)
DEAD_LETTERS = Metric(
    "sensorwatch.dead_letters", "counter", "{reading}", "Readings written to the dead letters: late and invalid ones."
)
TASK_DURATION = Metric(
    "sensorwatch.task.duration", "histogram", "s", "Run time of a task, whether it succeeded or failed.", ("kind",)
)
MODEL_AGE = Metric("sensorwatch.model.age", "histogram", "s", "Age of a shard's model version when it was applied.")
ANOMALIES = Metric("sensorwatch.anomalies", "counter", "{window}", "Anomalous windows stored.")
WITHDRAWN = Metric(
    "sensorwatch.anomalies.withdrawn",
    "counter",
    "{window}",
    "Stored anomalies removed because a later scoring found the window normal.",
)
ALERTS_OPENED = Metric("sensorwatch.alerts.opened", "counter", "{alert}", "Alerts opened.")
ALERTS_CLEARED = Metric(
    "sensorwatch.alerts.cleared", "counter", "{alert}", "Alerts that cleared without a person resolving them."
)
CYCLES_MISSED = Metric(
    "sensorwatch.cycles.missed",
    "counter",
    "{cycle}",
    "Timers that fired late or could not submit, and runs with a task that failed for good.",
    ("kind",),
)
POOL_ERRORS = Metric(
    "sensorwatch.pool.errors", "gauge", "{error}", "Errors that prevent the pool from allocating nodes."
)
SINKS_FAILING = Metric(
    "sensorwatch.sinks.failing", "gauge", "{sink}", "Sinks that failed at least three times in a row."
)

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
