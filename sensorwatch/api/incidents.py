"""Incidents: alerts of one device or site that opened together."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from sensorwatch.alert_records import AlertFilter
from sensorwatch.api.alerts import AlertItem, alert_items
from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import After, Context, Limit, Page, ReadContext, time
from sensorwatch.page_records import EndKey
from sensorwatch.records import Incident, SensorKey

__all__ = ["router"]

router = APIRouter(tags=["incidents"])

_GONE = SensorKey("", "")
_ALERTS_SHOWN = 100


class TopSensor(BaseModel):
    """One of the ten highest alerts of an incident."""

    alert_id: str
    sensor_id: int
    device: str
    tag: str
    severity: str = Field(description="low, medium, high or critical.", examples=["high"])
    score: float


class IncidentItem(BaseModel):
    """Alerts of one device or site that opened near each other."""

    incident_id: str
    group: str = Field(description="The device or the site.")
    state: Literal["open", "closed"]
    severity: str = Field(description="low, medium, high or critical.", examples=["high"])
    score: float = Field(description="The highest score of its alerts.")
    alerts: int
    opened_at: datetime
    last_alert_at: datetime = Field(description="When its newest alert opened.")
    closed_at: datetime | None
    top: list[TopSensor] = Field(description="Its ten highest alerts.")


class IncidentDetail(IncidentItem):
    """An incident with its newest alerts."""

    items: list[AlertItem] = Field(description="Up to 100; `/api/alerts?incident_id=` has all.")


@router.get("/api/incidents")
def incidents(
    context: ReadContext, state: Literal["open", "closed"] | None = None, limit: Limit = 100, after: After = None
) -> Page[IncidentItem]:
    """List incidents, those opened last first."""
    cursors = Cursors("incidents", {"state": state})
    place = cursors.read(after, tuple[Key, str])
    is_open = None if state is None else state == "open"
    found = context.wiring.store.incident_page(is_open, limit + 1, None if place is None else EndKey(*place))
    page = found[:limit]
    return Page(
        items=_items(context, page),
        next=cursors.write([page[-1].first_end, page[-1].incident_id]) if len(found) > limit else None,
    )


@router.get("/api/incidents/{incident_id}")
def incident(
    context: ReadContext, incident_id: Annotated[str, Path(max_length=120, description="The incident's id.")]
) -> IncidentDetail:
    """Show one incident with its newest alerts."""
    (item,) = _items(context, [context.wiring.store.incident(incident_id)])
    alerts = context.wiring.store.alert_page(AlertFilter(incident_id=incident_id), _ALERTS_SHOWN)
    return IncidentDetail(**dict(item), items=alert_items(context, alerts))


def _items(context: Context, found: list[Incident]) -> list[IncidentItem]:
    names = context.names({alert.sensor_id for each in found for alert in each.top})
    return [
        IncidentItem(
            incident_id=each.incident_id,
            group=each.group,
            state="open" if each.closed_end is None else "closed",
            severity=each.severity,
            score=each.peak_score,
            alerts=each.alerts,
            opened_at=time(each.first_end),
            last_alert_at=time(each.last_end),
            closed_at=None if each.closed_end is None else time(each.closed_end),
            top=[
                TopSensor(
                    alert_id=alert.alert_id,
                    sensor_id=alert.sensor_id,
                    device=names.get(alert.sensor_id, _GONE).device,
                    tag=names.get(alert.sensor_id, _GONE).tag,
                    severity=alert.severity,
                    score=alert.peak_score,
                )
                for alert in each.top
            ],
        )
        for each in found
    ]
