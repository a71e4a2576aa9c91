"""The fleet at a glance."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sensorwatch.alert_records import AlertCondition
from sensorwatch.api.requests import Context, ReadContext
from sensorwatch.api.severities import SEVERITIES, Severity
from sensorwatch.records import SensorState
from sensorwatch.sensor_states import SensorQuery

__all__ = ["router"]

router = APIRouter(tags=["overview"])


class SensorCounts(BaseModel):
    """How many sensors show each state."""

    total: int
    states: dict[SensorState, int]


class AlertNumbers(BaseModel):
    """How many alerts stand where, and how bad those are that are not resolved."""

    states: dict[AlertCondition, int]
    severities: dict[Severity, int]


class IngestNumbers(BaseModel):
    """Readings of all partitions since they were first read."""

    received: int
    accepted: int
    late: int
    duplicate: int
    invalid: int
    readings_per_second: float | None = Field(description="Over the last minutes; null until this was asked twice.")
    watermark: datetime | None = Field(
        description="Time of the newest event of the partition that is furthest behind; null before the first event."
    )


class RunNumbers(BaseModel):
    """Runs of training and scoring."""

    active: int = Field(description="Runs that have not ended.")


class Overview(BaseModel):
    """The fleet at a glance; while nothing happens nothing in it changes, not even an age."""

    sensors: SensorCounts
    alerts: AlertNumbers
    ingest: IngestNumbers
    runs: RunNumbers


@router.get("/api/overview")
def overview(context: ReadContext) -> Overview:
    """Count sensors by state, alerts by state and severity, readings, and runs."""
    wiring = context.wiring
    states = wiring.store.count_states(SensorQuery(), wiring.freshness)
    alerts = wiring.store.alert_counts()
    return Overview(
        sensors=SensorCounts(total=sum(states.values()), states=states),
        alerts=AlertNumbers(
            states=dict(alerts.conditions), severities={each: alerts.severities.get(each, 0) for each in SEVERITIES}
        ),
        ingest=_ingest(context),
        runs=RunNumbers(active=wiring.store.active_runs()),
    )


def _ingest(context: Context) -> IngestNumbers:
    partitions = context.wiring.store.ingest_status()
    counts = [status.counts for status in partitions]
    received = sum(each.received for each in counts)
    return IngestNumbers(
        received=received,
        accepted=sum(each.accepted for each in counts),
        late=sum(each.late for each in counts),
        duplicate=sum(each.duplicate for each in counts),
        invalid=sum(each.invalid for each in counts),
        readings_per_second=context.rates.rate(context.wiring.clock(), received),
        watermark=min((status.mark.enqueued_time for status in partitions), default=None),
    )
