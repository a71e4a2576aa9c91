"""Exporters of spans and measurements to files of JSON lines, for one machine.

A line has what was measured since the line before of the same process: the sum over all lines is the total, as far back
as the files go.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from sensorwatch.telemetry.rotation import RotatingFile

__all__ = ["FileMetricExporter", "FileSpanExporter"]

_DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}


class FileSpanExporter(SpanExporter):
    """Adds a line for each span that ends."""

    def __init__(self, file: RotatingFile) -> None:
        self._file = file

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans."""
        self._file.append(_as_lines(_span_line(span) for span in spans))
        return SpanExportResult.SUCCESS


class FileMetricExporter(MetricExporter):
    """Adds a line for each metric and set of attributes that was measured since the last time."""

    def __init__(self, file: RotatingFile) -> None:
        super().__init__(preferred_temporality=_DELTA)
        self._file = file

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        """Write the measurements."""
        if content := _as_lines(_metric_lines(metrics_data)):
            self._file.append(content)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        """Nothing is held open."""


def _as_lines(lines: Iterable[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()


def _span_line(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    started, ended = span.start_time or 0, span.end_time or 0
    return {
        "span": span.name,
        "service": span.resource.attributes.get("service.name"),
        "trace_id": f"{context.trace_id:032x}" if context else "",
        "span_id": f"{context.span_id:016x}" if context else "",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None,
        "kind": span.kind.name.lower(),
        "start": datetime.fromtimestamp(started / 1e9, UTC).isoformat(),
        "seconds": (ended - started) / 1e9,
        "error": span.status.description if not span.status.is_ok else None,
        "attributes": dict(span.attributes or {}),
        "links": [f"{link.context.span_id:016x}" for link in span.links],
    }


def _metric_lines(data: MetricsData) -> Iterable[dict[str, Any]]:
    for of_resource in data.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                for point in metric.data.data_points:
                    value = (
                        {"count": point.count, "sum": point.sum, "maximum": point.max}
                        if isinstance(point, HistogramDataPoint)
                        else {"value": getattr(point, "value", None)}
                    )
                    yield {
                        "metric": metric.name,
                        "service": of_resource.resource.attributes.get("service.name"),
                        "unit": metric.unit,
                        "time": datetime.fromtimestamp(point.time_unix_nano / 1e9, UTC).isoformat(),
                        "attributes": dict(point.attributes or {}),
                        **value,
                    }
