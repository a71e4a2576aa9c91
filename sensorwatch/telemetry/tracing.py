"""Spans, and propagation of their context as a W3C ``traceparent`` (https://www.w3.org/TR/trace-context/).

The ``traceparent`` is an application property of an event, the variable ``TRACEPARENT`` of a Batch task, metadata of a
prediction file, a member of a stored notification, and an attribute of a CloudEvent.
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


__all__ = ["Kind", "attached", "current_traceparent", "span", "start_span", "traceparent_of"]

Kind = Literal["internal", "producer", "consumer", "client"]
"""Kind of a span, in the terms of OpenTelemetry."""

_KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
}
_HEADER = "traceparent"
# A link costs about 20 µs, and senders that trace every event cause as many links as there are events.
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
    """Return a span for a ``with`` block: it is the current span inside, and records an exception that propagates.

    Parameters
    ----------
    name
        Name of the work, without ids: ``ingest``, ``score``.
    kind
        Kind of the span.
    parent
        The ``traceparent`` that arrived with the work. With None or an invalid one, the current span is the parent.
    links
        The ``traceparent`` texts of work with many parents. Only the first 32 are used, and invalid ones are skipped.
    attributes
        Attributes that are known at the start.

    Examples
    --------
    >>> with span("ingest"):
    ...     pass
    """
    return providers.tracer().start_as_current_span(
        name, context=_context(parent), kind=_KINDS[kind], links=_links(links), attributes=dict(attributes or {})
    )


def start_span(name: str, *, kind: Kind = "internal", attributes: Mapping[str, AttributeValue] | None = None) -> Span:
    """Return a started span that does not become the current one. The caller ends it."""
    return providers.tracer().start_span(name, kind=_KINDS[kind], attributes=dict(attributes or {}))


@contextmanager
def attached(traceparent: str | None) -> Iterator[None]:
    """Continue a trace from another process inside a ``with`` block. None or an invalid text has no effect."""
    token = context.attach(_context(traceparent) or context.get_current())
    try:
        yield
    finally:
        context.detach(token)


def current_traceparent() -> str | None:
    """Return the ``traceparent`` of the current span, to propagate it; None without a trace."""
    return traceparent_of(trace.get_current_span())


def traceparent_of(of: Span) -> str | None:
    """Return the ``traceparent`` of a span; None without a trace."""
    own = of.get_span_context()
    return f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}" if own.is_valid else None


def _context(traceparent: str | None) -> Context | None:
    return _PROPAGATOR.extract({_HEADER: traceparent}) if traceparent else None


def _links(traceparents: Iterable[str]) -> list[Link]:
    found = (
        trace.get_current_span(_context(text)).get_span_context() for text in islice(traceparents, _MOST_LINKS) if text
    )
    return [Link(each) for each in found if each.is_valid]
