"""What the system says of itself: spans that follow the data, and metrics; both cost next to nothing unless exported.

Only the API of OpenTelemetry is loaded here. :mod:`sensorwatch.telemetry.exporting` loads the SDK, once per process and
only where the settings name an exporter.
"""

from sensorwatch.telemetry import metrics
from sensorwatch.telemetry.tracing import current_traceparent, note_published, span, start_span

__all__ = ["current_traceparent", "metrics", "note_published", "span", "start_span"]
