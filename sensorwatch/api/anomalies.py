"""Anomalous windows."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from sensorwatch.alerts.explanation_text import explanation_text
from sensorwatch.alerts.records import Anomaly
from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import (
    After,
    DeviceFilter,
    From,
    Limit,
    Page,
    ReadContext,
    SensorId,
    TagFilter,
    To,
    seconds,
    time,
)
from sensorwatch.config.alerts import Severity
from sensorwatch.detectors.explanation import NearestPattern
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store.pages.queries import AnomalyQuery

__all__ = ["router"]

router = APIRouter(tags=["anomalies"])

_GONE = SensorKey("", "")
_LATEST = 7_258_118_400
"""The year 2200, in seconds since 1970."""


class AnomalousWindow(BaseModel):
    """One anomalous window."""

    sensor_id: int
    device: str
    tag: str
    ts: datetime = Field(description="End of the window.")
    value: float | None = Field(description="Mean of its readings.")
    expected_value: float | None = Field(description="Most likely value; null if the detector has none.")
    expected_low: float | None
    expected_high: float | None
    score: float = Field(description="0 to 100, comparable across sensors and detectors.")
    severity: str = Field(description="low, medium, high or critical.", examples=["high"])
    model_version: str
    training_start: datetime | None
    training_end: datetime | None
    suppressed_by: str | None = Field(description="Reason why it raises no alert; null if it may raise one.")
    explanation: str | None = Field(
        description="Explanation in one sentence.",
        examples=["25.3 where 20.1 (19.4 to 20.9) was expected; the value departs from its forecast."],
    )


class Member(BaseModel):
    """Result of one detector for the window."""

    name: str = Field(examples=["ar_season"])
    score: int = Field(description="0 to 100; 50 or more is anomalous.")
    weight: float = Field(description="Weight of the detector in the decision, 0 to 1.")
    fired: bool = Field(description="True if this detector alone finds the window anomalous.")


class Pattern(BaseModel):
    """Usual pattern nearest to the window and those before it, as columns of the same length."""

    found_by: str = Field(description="Detector that found it.")
    windows: int = Field(description="Number of windows in it.")
    ts: list[int] = Field(description="Ends of the windows, seconds since 1970-01-01T00:00:00Z.")
    value: list[float]


class ExplainedWindow(AnomalousWindow):
    """One anomalous window with its explanation; parts that were not recorded are null or empty."""

    deviation: float | None = Field(description="Value minus expected value.")
    detector: str | None = Field(description="Detector of the sensor's model.")
    members: list[Member] = Field(description="Detectors that took part in the decision, highest score first.")
    pattern: Pattern | None


@router.get("/api/anomalies")
def anomalies(
    context: ReadContext,
    sensor_id: Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Only windows of this sensor.")] = None,
    device: DeviceFilter = None,
    tag: TagFilter = None,
    severity: Severity | None = None,
    start: From = None,
    end: To = None,
    suppressed: Annotated[
        bool | None, Query(description="True: only suppressed windows, which raise no alert; false: only others.")
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
    found = context.product.store.anomaly_page(query, limit + 1)
    page = found[:limit]
    names = context.names({each.sensor_id for each in page})
    return Page(
        items=[_item(each, names.get(each.sensor_id, _GONE)) for each in page],
        next=cursors.write([page[-1].end, page[-1].sensor_id]) if len(found) > limit else None,
    )


@router.get("/api/sensors/{sensor_id}/anomalies/{end}")
def anomaly(
    context: ReadContext,
    sensor_id: SensorId,
    end: Annotated[
        int,
        Path(ge=0, le=_LATEST, description="End of the window, seconds since 1970-01-01T00:00:00Z."),
    ],
) -> ExplainedWindow:
    """Show one anomalous window with its explanation."""
    found = context.product.store.anomaly(sensor_id, end)
    why, expected = found.explanation, found.expected_value
    item = _item(found, context.names({sensor_id}).get(sensor_id, _GONE))
    deviation = None if expected is None else found.value - expected
    return ExplainedWindow(
        **dict(item),
        deviation=deviation if deviation is not None and math.isfinite(deviation) else None,
        detector=None if why is None else why.detector,
        members=[
            Member(name=each.name, score=each.score, weight=each.weight, fired=each.fired)
            for each in (why.members if why else ())
        ],
        pattern=None if why is None else _pattern(why.pattern, end),
    )


def _pattern(pattern: NearestPattern | None, end: int) -> Pattern | None:
    if pattern is None:
        return None
    return Pattern(found_by=pattern.found_by, windows=pattern.windows, ts=pattern.ends(end), value=pattern.values())


def _item(found: Anomaly, name: SensorKey) -> AnomalousWindow:
    return AnomalousWindow(
        sensor_id=found.sensor_id,
        device=name.device,
        tag=name.tag,
        ts=time(found.end),
        value=found.value,
        expected_value=found.expected_value,
        expected_low=found.expected_low,
        expected_high=found.expected_high,
        score=found.score,
        severity=found.severity,
        model_version=found.model_version,
        training_start=None if found.training_start is None else time(found.training_start),
        training_end=None if found.training_end is None else time(found.training_end),
        suppressed_by=found.suppressed or None,
        explanation=explanation_text(found) or None,
    )
