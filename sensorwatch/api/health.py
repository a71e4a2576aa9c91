"""Health of the system."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sensorwatch.api.requests import Context, ReadContext
from sensorwatch.tasks.records import Kind

__all__ = ["router"]

router = APIRouter(tags=["health"])

_SHARES = (0.5, 0.9, 0.99, 1.0)


class SinkHealth(BaseModel):
    """State of an alert sink; a failing sink does not affect anything else."""

    name: str
    state: Literal["ok", "failing"]
    failing_since: datetime | None
    last_delivery: datetime | None
    last_error: str
    waiting: int = Field(description="Number of notifications waiting for it.")


class PartitionLag(BaseModel):
    """Age of the newest ingested event of a partition."""

    hub: str
    consumer_group: str
    partition_id: str
    seconds: float


class WatermarkLag(BaseModel):
    """Ages of the newest ingested events, in seconds."""

    largest: float | None
    partitions: list[PartitionLag]


class ModelAges(BaseModel):
    """Percentiles of the age of training data, in seconds, over all sensors with a model; null if there are none."""

    p50: float | None
    p90: float | None
    p99: float | None
    largest: float | None


class MissedCycle(BaseModel):
    """Timer that was due but planned no run although there was work."""

    kind: Kind
    due_at: datetime


class Health(BaseModel):
    """Health of the system."""

    status: Literal["healthy"]
    database: str = Field(examples=["SQLite 3.46.0, revision 0007"])
    sinks: list[SinkHealth]
    watermark_lag_seconds: WatermarkLag
    model_age_seconds: ModelAges
    failed_sensors: int
    missed_cycles: list[MissedCycle]


@router.get("/api/health")
def health(context: ReadContext) -> Health:
    """Show the health of the system: 200 if the database is reachable and migrated, else 503 with the reason."""
    product = context.product
    store = product.store
    return Health(
        status="healthy",
        database=store.check(),
        sinks=[
            SinkHealth(
                name=sink.name,
                state="failing" if sink.failing else "ok",
                failing_since=sink.failing_since,
                last_delivery=sink.last_delivery,
                last_error=sink.last_error,
                waiting=sink.waiting,
            )
            for sink in store.sink_status()
        ],
        watermark_lag_seconds=_lag(context),
        model_age_seconds=_ages(store.trained_until(_SHARES), product.clock()),
        failed_sensors=store.failed_sensors(),
        missed_cycles=[MissedCycle(kind=kind, due_at=due_at) for kind, due_at in product.missed_cycles()],
    )


def _lag(context: Context) -> WatermarkLag:
    now = context.product.clock()
    lags = [
        PartitionLag(
            **status.partition._asdict(), seconds=max(0.0, (now - status.checkpoint.enqueued_time).total_seconds())
        )
        for status in context.product.store.ingest_status()
    ]
    return WatermarkLag(largest=max((lag.seconds for lag in lags), default=None), partitions=lags)


def _ages(times: Sequence[datetime | None], now: datetime) -> ModelAges:
    p50, p90, p99, largest = (None if until is None else max(0.0, (now - until).total_seconds()) for until in times)
    return ModelAges(p50=p50, p90=p90, p99=p99, largest=largest)
