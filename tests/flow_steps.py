"""Steps of the flow tests on a running stack."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from local_stack import wait_until

from local.stack import Stack
from sensorwatch.ingestion.records import IngestCounts, Reading
from sensorwatch.tasks.records import Kind, RunSummary

__all__ = ["END", "counts", "fire_and_wait", "send", "wait_until_ingested", "windows"]

END = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
"""The newest reading's time: past, and settled, whatever the tests take."""


def send(stack: Stack, readings: Iterable[Reading], *, readings_per_event: int = 1) -> int:
    """Send readings; return their number."""
    with stack.product.sender() as sender:
        return sender.send(readings, readings_per_event=readings_per_event)


def counts(stack: Stack) -> IngestCounts:
    """Return the counters of all partitions together."""
    parts = [status.counts for status in stack.product.store.ingest_status()]
    return IngestCounts(*(sum(column) for column in zip(*parts, strict=True))) if parts else IngestCounts(0, 0, 0, 0, 0)


def wait_until_ingested(stack: Stack, readings: int, limit_seconds: float = 180) -> None:
    """Wait until so many readings were taken in, redelivered ones not counted."""
    wait_until(
        lambda: counts(stack).received - counts(stack).duplicate >= readings,
        f"{readings} readings to be ingested",
        limit_seconds,
    )


def fire_and_wait(stack: Stack, kind: Kind) -> RunSummary:
    """Fire a timer, wait until the run it submits has ended, and return it."""
    store = stack.product.store
    before = {run.run_id for run in store.runs(kind)}
    stack.fire(kind)
    wait_until(lambda: {run.run_id for run in store.runs(kind)} - before, f"the {kind} timer to submit a run")
    wait_until(lambda: store.runs(kind)[0].ended_at is not None, f"{store.runs(kind)[0].run_id} to end")
    return store.runs(kind)[0]


def windows(stack: Stack) -> list[tuple[object, ...]]:
    """Return every window as stored, with the sensor's name in place of its id."""
    url = stack.settings.values["DATABASE_URL"]
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT s.Device, s.Tag, w.TS, w.Readings, w.Minimum, w.Maximum, w.Total, w.SumOfSquares "
            "FROM SensorWindows AS w JOIN Sensors AS s ON s.SensorId = w.SensorId ORDER BY s.Device, s.Tag, w.TS"
        ).all()
    engine.dispose()
    return [tuple(row) for row in rows]
