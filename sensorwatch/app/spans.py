"""Spans of use cases with their attributes, and metrics of tasks and submissions."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sensorwatch.telemetry import metrics, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.trace import Span

    from sensorwatch.ingestion.records import IngestCounts, Partition, RawEvent
    from sensorwatch.realtime.records import ServingCounts
    from sensorwatch.scheduling.submit import Submission
    from sensorwatch.tasks.records import Kind, TaskSpec

__all__ = ["batch_attributes", "note_counts", "note_submission", "observed", "submission_span"]

_NO_START = -(2**53)
"""Span attribute of a task without a start, in seconds since 1970-01-01T00:00:00Z."""


@contextmanager
def submission_span(kind: Kind) -> Iterator[Span]:
    """Open a span for a submission; count a failure as a missed cycle."""
    with span(f"submit {kind}", kind="producer") as current:
        try:
            yield current
        except Exception:
            metrics.CYCLES_MISSED.record(1, kind=kind)
            raise


def note_submission(current: Span, submission: Submission) -> None:
    """Add a submission's run and number of tasks to its span."""
    current.set_attributes({"sensorwatch.run": submission.run_id or "", "sensorwatch.tasks": submission.tasks})


def batch_attributes(partition: Partition, events: Sequence[RawEvent]) -> dict[str, str | int]:
    """Return the span attributes of a batch of events."""
    return {
        "messaging.system": "eventhubs",
        "messaging.destination.name": partition.hub,
        "messaging.destination.partition.id": partition.partition_id,
        "messaging.consumer.group.name": partition.consumer_group,
        "messaging.batch.message_count": len(events),
    }


def note_counts(current: Span, counts: IngestCounts | ServingCounts) -> None:
    """Add a batch's counts to its span."""
    if current.is_recording():
        current.set_attributes({f"sensorwatch.readings.{name}": number for name, number in counts._asdict().items()})


@contextmanager
def observed(task: TaskSpec) -> Iterator[Span]:
    """Open a span for a task, and record its duration.

    The attributes ``after`` and ``until`` are the task's range, ``after < end <= until``, in seconds since
    1970-01-01T00:00:00Z.
    """
    attributes: dict[str, str | int] = {
        "sensorwatch.run": task.run_id,
        "sensorwatch.shard": task.shard,
        "sensorwatch.windows.after": _NO_START if task.start is None else int(task.start.timestamp()),
        "sensorwatch.windows.until": int(task.end.timestamp()),
    }
    begun = time.monotonic()
    try:
        with span(task.kind, attributes=attributes) as current:
            yield current
    finally:
        metrics.TASK_DURATION.record(time.monotonic() - begun, kind=task.kind)
