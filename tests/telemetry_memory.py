"""Spans and measurements in memory, for tests that look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sensorwatch.telemetry.providers import Providers, use

__all__ = ["MemoryTelemetry", "telemetry_in_memory"]


class MemoryTelemetry:
    """Spans and measurements recorded so far."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.providers = Providers(tracers, MeterProvider([self._reader]))

    def spans(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a name that have ended, in that order."""
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def points(self) -> dict[tuple[str, str], Any]:
        """Return every data point by its metric and its attribute ``kind`` (empty without)."""
        data = self._reader.get_metrics_data()
        return {
            (metric.name, str((point.attributes or {}).get("kind", ""))): point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }

    def totals(self) -> dict[str, float]:
        """Return the values of counters and gauges, and the number of a histogram's measurements, by name."""
        found: dict[str, float] = {}
        for (name, _), point in self.points().items():
            found[name] = found.get(name, 0) + (point.count if hasattr(point, "count") else point.value)
        return found


@contextmanager
def telemetry_in_memory() -> Iterator[MemoryTelemetry]:
    """Record what happens inside."""
    memory = MemoryTelemetry()
    before = use(memory.providers)
    try:
        yield memory
    finally:
        use(before)
