"""Overview of the fleet."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sensorwatch.alerts.handling import AlertCondition
from sensorwatch.api.requests import Context, ReadContext
from sensorwatch.config.alerts import SEVERITIES, Severity
from sensorwatch.sensors.records import SensorState
from sensorwatch.sensors.states import SensorQuery

__all__ = ["router"]

router = APIRouter(tags=["overview"])


class SensorCounts(BaseModel):
    """Number of sensors by state."""

    total: int
    states: dict[SensorState, int]


class AlertNumbers(BaseModel):
    """Number of alerts by state, and of unresolved alerts by severity."""

    states: dict[AlertCondition, int]
    severities: dict[Severity, int]


class IngestNumbers(BaseModel):
    """Number of readings of all partitions since they were first read."""

    received: int
    accepted: int
    late: int
    duplicate: int
    invalid: int
    readings_per_second: float | None = Field(
        description="Average over the last minutes; null until the second request."
    )
    watermark: datetime | None = Field(
        description="Time of the newest event of the partition that is furthest behind; null before the first event."
    )


class RunNumbers(BaseModel):
    """Training and scoring runs."""

    active: int = Field(description="Number of runs that have not ended.")


class Overview(BaseModel):
    """Overview of the fleet. It contains times and no ages, so that it does not change while nothing happens."""

    sensors: SensorCounts
    alerts: AlertNumbers
    ingest: IngestNumbers
    runs: RunNumbers


@router.get("/api/overview")
def overview(context: ReadContext) -> Overview:
    """Show the numbers of sensors, alerts, readings and runs."""
    product = context.product
    states = product.store.count_states(SensorQuery(), product.freshness)
    alerts = product.store.alert_counts()
    return Overview(
        sensors=SensorCounts(total=sum(states.values()), states=states),
        alerts=AlertNumbers(
            states=dict(alerts.conditions), severities={each: alerts.severities.get(each, 0) for each in SEVERITIES}
        ),
        ingest=_ingest(context),
        runs=RunNumbers(active=product.store.active_runs()),
    )


def _ingest(context: Context) -> IngestNumbers:
    partitions = context.product.store.ingest_status()
    counts = [status.counts for status in partitions]
    received = sum(each.received for each in counts)
    return IngestNumbers(
        received=received,
        accepted=sum(each.accepted for each in counts),
        late=sum(each.late for each in counts),
        duplicate=sum(each.duplicate for each in counts),
        invalid=sum(each.invalid for each in counts),
        readings_per_second=context.rates.rate(context.product.clock(), received),
        watermark=min((status.checkpoint.enqueued_time for status in partitions), default=None),
    )
