"""Metrics of ingestion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.telemetry.metrics import ACCEPTED, DEAD_LETTERS, DUPLICATE, INGEST_LAG, INVALID, LATE, RECEIVED

if TYPE_CHECKING:
    from sensorwatch.ingestion.records import IngestCounts

__all__ = ["count_readings"]


def count_readings(counts: IngestCounts, lag_seconds: float) -> None:
    """Count an ingested batch; ``lag_seconds`` is the age of its first event."""
    RECEIVED.record(counts.received)
    ACCEPTED.record(counts.accepted)
    INGEST_LAG.record(max(0.0, lag_seconds))
    for metric, number in ((LATE, counts.late), (DUPLICATE, counts.duplicate), (INVALID, counts.invalid)):
        if number:
            metric.record(number)
    if counts.late or counts.invalid:
        DEAD_LETTERS.record(counts.late + counts.invalid)
