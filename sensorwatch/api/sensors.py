"""Catalogue of sensors with their states."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import After, Context, DeviceFilter, Limit, Page, ReadContext, SensorId, TagFilter
from sensorwatch.errors import NotFoundError
from sensorwatch.sensors.records import SensorState, SensorStatus
from sensorwatch.sensors.states import SensorQuery, shown

__all__ = ["router"]

router = APIRouter(tags=["sensors"])


class Sensor(BaseModel):
    """Sensor of the catalogue with its current state."""

    sensor_id: int
    device: str = Field(examples=["pump-7"])
    tag: str = Field(examples=["temperature"])
    shard: int
    state: SensorState
    reason: str = Field(description="Reason why it is not `ready`; empty if it is.")
    first_seen: datetime
    last_window: datetime | None = Field(description="End of its newest window.")
    trained_until: datetime | None = Field(description="End of the newest window of its training data.")
    model_version: str = Field(description="Version in which its model first appeared; empty if it has no model.")
    open_alerts: int = Field(description="Number of unresolved alerts.")


class SensorPage(Page[Sensor]):
    """Page of sensors, and the number of all matching sensors by state."""

    states: dict[SensorState, int] = Field(description="Number of sensors by state; the filter `state` is not applied.")


@router.get("/api/sensors")
def sensors(
    context: ReadContext,
    state: Annotated[SensorState | None, Query(description="Only sensors in this state.")] = None,
    device: DeviceFilter = None,
    tag: TagFilter = None,
    search: Annotated[
        str | None,
        Query(min_length=1, max_length=64, description="Only sensors whose device or tag starts with this text."),
    ] = None,
    limit: Limit = 100,
    after: After = None,
) -> SensorPage:
    """List sensors, ordered by id."""
    product = context.product
    cursors = Cursors("sensors", {"state": state, "device": device, "tag": tag, "search": search})
    place = cursors.read(after, tuple[Key])
    query = SensorQuery(state, device, tag, None if place is None else place[0], search)
    found = product.store.find_sensors(query, product.freshness, limit=limit + 1)
    page = found[:limit]
    return SensorPage(
        items=_items(context, page),
        next=cursors.write([page[-1].sensor_id]) if len(found) > limit else None,
        states=product.store.count_states(replace(query, state=None, after_id=None), product.freshness),
    )


@router.get("/api/sensors/{sensor_id}")
def sensor(context: ReadContext, sensor_id: SensorId) -> Sensor:
    """Show one sensor."""
    return _items(context, [shown(sensor_of(context, sensor_id), context.product.freshness)])[0]


def sensor_of(context: Context, sensor_id: int) -> SensorStatus:
    """Return a sensor of the catalogue.

    Raises
    ------
    NotFoundError
        There is no sensor with this id.
    """
    found = context.product.store.sensors_by_id([sensor_id]).get(sensor_id)
    if found is None:
        raise NotFoundError(f"no sensor {sensor_id}; /api/sensors lists them")
    return found


def _items(context: Context, found: list[SensorStatus]) -> list[Sensor]:
    alerts = context.product.store.open_alerts([each.sensor_id for each in found])
    return [
        Sensor(
            sensor_id=each.sensor_id,
            device=each.key.device,
            tag=each.key.tag,
            shard=each.shard,
            state=each.state,
            reason=each.reason,
            first_seen=each.first_seen,
            last_window=each.last_window,
            trained_until=each.trained_until,
            model_version=each.model_version,
            open_alerts=len(alerts.get(each.sensor_id, ())),
        )
        for each in found
    ]
