"""Set-up of the OpenTelemetry SDK: once per process, and only if the settings name an exporter."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch import __version__
from sensorwatch.errors import SettingsError
from sensorwatch.telemetry.providers import Providers, enabled, use

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from sensorwatch.settings import Settings

__all__ = ["Exporters", "azure_exporters", "providers_of", "set_up"]

_FILE_EXPORT_MILLISECONDS = 1000
_setting_up = Lock()


class Exporters(NamedTuple):
    """Exporters of spans and metrics. With ``at_once``, spans are exported as they end, without a queue in memory."""

    spans: SpanExporter
    metrics: MetricExporter
    at_once: bool = False


def set_up(settings: Settings, service: str) -> None:
    """Export this process's spans and metrics as the settings say. A second call has no effect.

    They are flushed when the process exits normally.

    Parameters
    ----------
    settings
        ``TELEMETRY_EXPORTER`` and the settings of the exporter.
    service
        Name of the process in telemetry (``service.name``), for example ``sensorwatch-functions``.

    Raises
    ------
    SettingsError
        The exporter's package is not installed.
    """
    if settings.telemetry_exporter == "none":
        return
    with _setting_up:
        if not enabled():
            use(providers_of(_exporters(settings), service))


def _exporters(settings: Settings) -> Exporters:
    match settings.telemetry_exporter:
        case "file":
            from sensorwatch.telemetry.files import FileMetricExporter, FileSpanExporter
            from sensorwatch.telemetry.rotation import RotatingFile

            file = RotatingFile(Path(settings.telemetry_file), settings.telemetry_file_bytes)
            return Exporters(FileSpanExporter(file), FileMetricExporter(file), at_once=True)
        case "otlp":
            return _otlp_exporters(settings.otlp_endpoint)
        case "azure":
            from azure.identity import DefaultAzureCredential

            return azure_exporters(settings.applicationinsights_connection_string or "", DefaultAzureCredential())
        case _:
            from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            # Commands and tasks print their results to standard output.
            return Exporters(ConsoleSpanExporter(out=sys.stderr), ConsoleMetricExporter(out=sys.stderr))


def _otlp_exporters(endpoint: str) -> Exporters:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as exc:
        raise SettingsError(
            "TELEMETRY_EXPORTER: the exporter `otlp` is not installed; try pip install -r requirements-otlp.txt"
        ) from exc
    base = endpoint.rstrip("/")
    return Exporters(OTLPSpanExporter(f"{base}/v1/traces"), OTLPMetricExporter(f"{base}/v1/metrics"))


def azure_exporters(connection: str, credential: TokenCredential | None) -> Exporters:
    """Return exporters to Application Insights.

    Parameters
    ----------
    connection
        Connection string of the resource. It is an address and not a secret.
    credential
        Identity that writes. With None, the connection string alone is enough, if the resource still allows that.
    """
    # Otherwise the package reports on itself to Microsoft, past any private network. It reads this when it is loaded.
    os.environ.setdefault("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

    return Exporters(
        AzureMonitorTraceExporter(connection_string=connection, credential=credential),
        AzureMonitorMetricExporter(connection_string=connection, credential=credential),
    )


def providers_of(exporters: Exporters, service: str) -> Providers:
    """Return providers that export the spans and metrics of a service with this name."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    resource = Resource.create({"service.name": service, "service.version": __version__})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(
        SimpleSpanProcessor(exporters.spans) if exporters.at_once else BatchSpanProcessor(exporters.spans)
    )
    interval = _FILE_EXPORT_MILLISECONDS if exporters.at_once else None
    reader = PeriodicExportingMetricReader(exporters.metrics, export_interval_millis=interval)
    return Providers(tracers, MeterProvider([reader], resource=resource))
