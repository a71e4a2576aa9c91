"""Incidents: alerts of one device or site that opened at about the same time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from sensorwatch.alerts.handling import AlertFilter
from sensorwatch.api.alerts import AlertItem, alert_items
from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import After, Limit, Page, ReadContext, time
from sensorwatch.store.pages.queries import EndKey, IncidentSummary

__all__ = ["router"]

router = APIRouter(tags=["incidents"])

_ALERTS_SHOWN = 100


class TopSensor(BaseModel):
    """One of the ten alerts with the highest scores of an incident."""

    alert_id: str
    sensor_id: int
    device: str
    tag: str
    severity: str = Field(description="low, medium, high or critical.", examples=["high"])
    score: float


class IncidentItem(BaseModel):
    """Alerts of one device or site that opened at about the same time."""

    incident_id: str
    group: str = Field(description="Device or site.")
    state: Literal["open", "closed"]
    severity: str = Field(description="low, medium, high or critical.", examples=["high"])
    score: float = Field(description="The highest score of its alerts.")
    alerts: int
    opened_at: datetime
    last_alert_at: datetime = Field(description="Time at which its newest alert opened.")
    closed_at: datetime | None
    top: list[TopSensor] = Field(description="Its ten alerts with the highest scores.")


class IncidentDetail(IncidentItem):
    """Incident with its newest alerts."""

    items: list[AlertItem] = Field(description="Up to 100; `/api/alerts?incident_id=` lists all.")


@router.get("/api/incidents")
def incidents(
    context: ReadContext, state: Literal["open", "closed"] | None = None, limit: Limit = 100, after: After = None
) -> Page[IncidentItem]:
    """List incidents, newest first."""
    cursors = Cursors("incidents", {"state": state})
    place = cursors.read(after, tuple[Key, str])
    is_open = None if state is None else state == "open"
    found = context.product.store.incident_page(is_open, limit + 1, None if place is None else EndKey(*place))
    page = found[:limit]
    return Page(
        items=[_item(each) for each in page],
        next=cursors.write([page[-1].incident.first_end, page[-1].incident.incident_id])
        if len(found) > limit
        else None,
    )


@router.get("/api/incidents/{incident_id}")
def incident(
    context: ReadContext, incident_id: Annotated[str, Path(max_length=120, description="The incident's id.")]
) -> IncidentDetail:
    """Show one incident with its newest alerts."""
    item = _item(context.product.store.incident_summary(incident_id))
    alerts = context.product.store.alert_page(AlertFilter(incident_id=incident_id), _ALERTS_SHOWN)
    return IncidentDetail(**dict(item), items=alert_items(context, alerts))


def _item(found: IncidentSummary) -> IncidentItem:
    incident, top = found.incident, found.top
    return IncidentItem(
        incident_id=incident.incident_id,
        group=incident.group,
        state="open" if incident.closed_end is None else "closed",
        # The score of an alert may have increased since it joined.
        severity=top[0].severity if top else incident.severity,
        score=top[0].peak_score if top else incident.peak_score,
        alerts=incident.alerts,
        opened_at=time(incident.first_end),
        last_alert_at=time(incident.last_end),
        closed_at=None if incident.closed_end is None else time(incident.closed_end),
        top=[
            TopSensor(
                alert_id=alert.alert_id,
                sensor_id=alert.sensor_id,
                device=alert.sensor.device,
                tag=alert.sensor.tag,
                severity=alert.severity,
                score=alert.peak_score,
            )
            for alert in top
        ],
    )
