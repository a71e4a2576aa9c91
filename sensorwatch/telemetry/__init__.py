"""Spans that follow the data, and metrics. Both cost almost nothing unless they are exported.

This package loads only the API of OpenTelemetry. :mod:`sensorwatch.telemetry.exporting` loads the SDK, once per process
and only if the settings name an exporter.
"""

from sensorwatch.telemetry import metrics
from sensorwatch.telemetry.tracing import current_traceparent, span, start_span

__all__ = ["current_traceparent", "metrics", "span", "start_span"]
