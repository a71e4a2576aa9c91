"""Where this process's spans and measurements go: to what was set up here, else to OpenTelemetry's own providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

__all__ = ["Providers", "enabled", "meter", "tracer", "use"]

_SCOPE = "sensorwatch"


class Providers:
    """A pair of providers in use, with the tracer and the meter that come from them."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self.recording = tracer_provider is not None
        self.tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer(_SCOPE)
        self.meter = (meter_provider or metrics.get_meter_provider()).get_meter(_SCOPE)


_current = Providers(None, None)


def use(providers: Providers) -> Providers:
    """Send spans and measurements there from now on; return what was in use before."""
    global _current
    before, _current = _current, providers
    return before


def enabled() -> bool:
    """Return whether an exporter was set up, so that it is worth collecting what spans link to."""
    return _current.recording


def tracer() -> Tracer:
    """Return the tracer in use."""
    return _current.tracer


def meter() -> Meter:
    """Return the meter in use."""
    return _current.meter
