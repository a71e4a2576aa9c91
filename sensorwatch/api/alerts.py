"""Alerts: lists, and single alerts with their history."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sensorwatch.alerts.handling import AlertCondition, AlertFilter, HandledAlert, Verdict
from sensorwatch.alerts.records import AlertKind
from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import After, AlertId, Context, DeviceFilter, Limit, Page, ReadContext, TagFilter, time
from sensorwatch.config.alerts import Severity
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store.pages.queries import EndKey

__all__ = ["AlertDetail", "AlertItem", "alert_detail", "alert_items", "router"]

router = APIRouter(tags=["alerts"])

_GONE = SensorKey("", "")


class AlertItem(BaseModel):
    """One episode of trouble of a sensor, and how people handled it."""

    alert_id: str = Field(examples=["0-1795169700"])
    sensor_id: int
    device: str
    tag: str
    kind: AlertKind
    state: AlertCondition
    severity: str = Field(description="low, medium, high or critical.", examples=["high"])
    score: float = Field(description="Highest score of its windows, 0 to 100.")
    opened_at: datetime = Field(description="End of the window that opened it.")
    last_anomaly_at: datetime
    cleared_at: datetime | None
    anomalies: int = Field(description="Number of its anomalous windows.")
    value: float | None = Field(description="Value of the window with the highest score.")
    expected_low: float | None
    expected_high: float | None
    explanation: str | None = Field(description="Explanation of that window.")
    model_version: str
    training_start: datetime | None
    training_end: datetime | None
    incident_id: str | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    silenced_until: datetime | None
    silenced_by: str | None
    silence_reason: str | None
    resolved_by: str | None = Field(description="Person who resolved it; null if its quiet period ended.")
    verdict: Verdict | None
    verdict_by: str | None
    verdict_at: datetime | None


class AlertEvent(BaseModel):
    """Entry in the history of an alert."""

    at: datetime
    by: str = Field(description="A person, or `sensorwatch`.")
    action: str
    comment: str


class AlertDetail(AlertItem):
    """Alert with its history, oldest entry first."""

    history: list[AlertEvent]


@router.get("/api/alerts")
def alerts(
    context: ReadContext,
    state: AlertCondition | None = None,
    severity: Severity | None = None,
    kind: AlertKind | None = None,
    sensor_id: Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Only alerts of this sensor.")] = None,
    device: DeviceFilter = None,
    tag: TagFilter = None,
    incident_id: Annotated[str | None, Query(max_length=120, description="Only alerts of this incident.")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[AlertItem]:
    """List alerts, newest first."""
    wanted = AlertFilter(state, sensor_id, kind, severity, incident_id, device=device, tag=tag)
    cursors = Cursors("alerts", {"wanted": wanted})
    place = cursors.read(after, tuple[Key, str])
    found = context.product.store.alert_page(wanted, limit + 1, None if place is None else EndKey(*place))
    page = found[:limit]
    last = page[-1].alert if page else None
    return Page(
        items=alert_items(context, page),
        next=cursors.write([last.opened_end, last.alert_id]) if last and len(found) > limit else None,
    )


@router.get("/api/alerts/{alert_id}")
def alert(context: ReadContext, alert_id: AlertId) -> AlertDetail:
    """Show one alert with its history."""
    return alert_detail(context, context.product.store.alert(alert_id))


def alert_detail(context: Context, handled: HandledAlert) -> AlertDetail:
    """Return an alert with the name of its sensor and its history."""
    history = [
        AlertEvent(at=entry.at, by=entry.actor, action=entry.action, comment=entry.detail)
        for entry in context.product.store.alert_history(handled.alert.alert_id)
    ]
    (item,) = alert_items(context, [handled])
    return AlertDetail(**dict(item), history=history)


def alert_items(context: Context, found: list[HandledAlert]) -> list[AlertItem]:
    """Return alerts with the names of their sensors."""
    names = context.names({each.alert.sensor_id for each in found})
    now = context.product.clock()
    return [_item(each, names.get(each.alert.sensor_id, _GONE), now) for each in found]


def _item(handled: HandledAlert, name: SensorKey, now: datetime) -> AlertItem:
    alert, handling = handled.alert, handled.handling
    return AlertItem(
        alert_id=alert.alert_id,
        sensor_id=alert.sensor_id,
        device=name.device,
        tag=name.tag,
        kind=alert.kind,
        state=handled.condition(now),
        severity=alert.severity,
        score=alert.peak_score,
        opened_at=time(alert.opened_end),
        last_anomaly_at=time(alert.last_anomaly_end),
        cleared_at=_time(alert.cleared_end),
        anomalies=alert.anomalies,
        value=alert.peak_value,
        expected_low=alert.expected_low,
        expected_high=alert.expected_high,
        explanation=alert.explanation or None,
        model_version=alert.model_version,
        training_start=_time(alert.training_start),
        training_end=_time(alert.training_end),
        incident_id=handled.incident_id,
        acknowledged_by=handling.acknowledged_by,
        acknowledged_at=handling.acknowledged_at,
        silenced_until=handling.silenced_until,
        silenced_by=handling.silenced_by,
        silence_reason=handling.silenced_why,
        resolved_by=handling.resolved_by,
        verdict=handling.feedback,
        verdict_by=handling.feedback_by,
        verdict_at=handling.feedback_at,
    )


def _time(end: int | None) -> datetime | None:
    return None if end is None else time(end)
