"""Spans, and how their context travels: as the text ``traceparent`` of W3C Trace Context.

https://www.w3.org/TR/trace-context/ defines the text. It goes along as an application property of an event, the
variable ``TRACEPARENT`` of a Batch task, the metadata of a prediction file, a member of a stored notification, and the
``traceparent`` of a CloudEvent.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Literal

from opentelemetry import context, trace
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sensorwatch.telemetry import providers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.context import Context
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from sensorwatch.records import PublishOutcome

__all__ = ["Kind", "attached", "current_traceparent", "note_published", "span", "start_span", "traceparent_of"]

Kind = Literal["internal", "producer", "consumer", "client"]
"""Which side of a message or call a span is on, as OpenTelemetry has it."""

_KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
}
_HEADER = "traceparent"
# Each costs some 20 µs, and senders that trace every event would make as many as there are events.
_MOST_LINKS = 32
_PROPAGATOR = TraceContextTextMapPropagator()


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Iterable[str] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
) -> AbstractContextManager[Span]:
    """Return a span to be entered with ``with``: the current one inside; an error that leaves it is recorded.

    Parameters
    ----------
    name
        What is done, without ids: ``ingest``, ``score``.
    parent
        A traceparent that came along with the work; None or one that is no traceparent: the current span.
    links
        Traceparents of what the work was made of, where that has many parents: the first 32, without texts that are
        none.
    attributes
        What is known when it begins.

    Examples
    --------
    >>> with span("ingest"):
    ...     pass
    """
    return providers.tracer().start_as_current_span(
        name, context=_context(parent), kind=_KINDS[kind], links=_links(links), attributes=dict(attributes or {})
    )


def start_span(name: str, *, kind: Kind = "internal", attributes: Mapping[str, AttributeValue] | None = None) -> Span:
    """Return a span that has begun and is not the current one; the caller ends it."""
    return providers.tracer().start_span(name, kind=_KINDS[kind], attributes=dict(attributes or {}))


@contextmanager
def attached(traceparent: str | None) -> Iterator[None]:
    """Make what begins inside part of a trace that came from another process; None or no traceparent: of none."""
    token = context.attach(_context(traceparent) or context.get_current())
    try:
        yield
    finally:
        context.detach(token)


def note_published(of: Span, outcome: PublishOutcome) -> None:
    """Note what publishing a prediction file did in its span."""
    of.set_attributes(
        {
            "sensorwatch.anomalies": outcome.anomalies_added,
            "sensorwatch.alerts.opened": outcome.alerts_opened,
            "sensorwatch.alerts.cleared": outcome.alerts_cleared,
        }
    )


def current_traceparent() -> str | None:
    """Return the current span's traceparent, to be sent along; None where nothing is traced."""
    return traceparent_of(trace.get_current_span())


def traceparent_of(of: Span) -> str | None:
    """Return a span's traceparent, None where nothing is traced."""
    own = of.get_span_context()
    return f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}" if own.is_valid else None


def _context(traceparent: str | None) -> Context | None:
    return _PROPAGATOR.extract({_HEADER: traceparent}) if traceparent else None


def _links(traceparents: Iterable[str]) -> list[Link]:
    found = (
        trace.get_current_span(_context(text)).get_span_context() for text in islice(traceparents, _MOST_LINKS) if text
    )
    return [Link(each) for each in found if each.is_valid]
