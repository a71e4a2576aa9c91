"""Providers of this process: those that were set up here, otherwise OpenTelemetry's global ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

__all__ = ["Providers", "enabled", "meter", "tracer", "use"]

_SCOPE = "sensorwatch"


class Providers:
    """A pair of providers, with their tracer and their meter. None stands for OpenTelemetry's global provider."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self.recording = tracer_provider is not None
        self.tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer(_SCOPE)
        self.meter = (meter_provider or metrics.get_meter_provider()).get_meter(_SCOPE)


_current = Providers(None, None)


def use(providers: Providers) -> Providers:
    """Use these providers from now on. Return the previous ones."""
    global _current
    before, _current = _current, providers
    return before


def enabled() -> bool:
    """Return whether an exporter was set up. Without one, collecting the links of spans is wasted time."""
    return _current.recording


def tracer() -> Tracer:
    """Return the tracer in use."""
    return _current.tracer


def meter() -> Meter:
    """Return the meter in use."""
    return _current.meter
