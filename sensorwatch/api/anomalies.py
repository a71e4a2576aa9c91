"""Anomalous windows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import After, DeviceFilter, From, Limit, Page, ReadContext, TagFilter, To, seconds, time
from sensorwatch.api.severities import Severity
from sensorwatch.page_records import AnomalyQuery
from sensorwatch.records import SensorKey

__all__ = ["router"]

router = APIRouter(tags=["anomalies"])

_GONE = SensorKey("", "")


class AnomalousWindow(BaseModel):
    """One anomalous window."""

    sensor_id: int
    device: str
    tag: str
    ts: datetime = Field(description="End of the window.")
    value: float | None = Field(description="Mean of its readings.")
    expected_low: float | None
    expected_high: float | None
    score: float = Field(description="0 to 100, comparable across sensors and detectors.")
    severity: str = Field(description="low, medium, high or critical.", examples=["high"])
    model_version: str
    training_start: datetime | None
    training_end: datetime | None
    suppressed_by: str | None = Field(description="Why it raises no alert; null if it may.")


@router.get("/api/anomalies")
def anomalies(
    context: ReadContext,
    sensor_id: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
    device: DeviceFilter = None,
    tag: TagFilter = None,
    severity: Severity | None = None,
    start: From = None,
    end: To = None,
    suppressed: Annotated[
        bool | None, Query(description="Only those that raise no alert, or only those that may.")
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[AnomalousWindow]:
    """List anomalous windows, newest first."""
    query = AnomalyQuery(sensor_id, device, tag, severity, seconds(start), seconds(end), suppressed)
    cursors = Cursors("anomalies", {"query": query})
    query = AnomalyQuery(
        sensor_id, device, tag, severity, query.start, query.end, suppressed, cursors.read(after, tuple[Key, Key])
    )
    found = context.wiring.store.anomaly_page(query, limit + 1)
    page = found[:limit]
    names = context.names({each.sensor_id for each in page})
    return Page(
        items=[
            AnomalousWindow(
                sensor_id=each.sensor_id,
                device=names.get(each.sensor_id, _GONE).device,
                tag=names.get(each.sensor_id, _GONE).tag,
                ts=time(each.end),
                value=each.value,
                expected_low=each.expected_low,
                expected_high=each.expected_high,
                score=each.score,
                severity=each.severity,
                model_version=each.model_version,
                training_start=None if each.training_start is None else time(each.training_start),
                training_end=None if each.training_end is None else time(each.training_end),
                suppressed_by=each.suppressed or None,
            )
            for each in page
        ],
        next=cursors.write([page[-1].end, page[-1].sensor_id]) if len(found) > limit else None,
    )
