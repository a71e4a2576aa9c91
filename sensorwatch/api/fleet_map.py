"""Fleet as a matrix of devices and tags."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sensorwatch.api.cursors import Cursors
from sensorwatch.api.requests import After, ReadContext
from sensorwatch.config.alerts import SEVERITIES, Severity
from sensorwatch.sensors.records import SensorState
from sensorwatch.sensors.states import shown

__all__ = ["router"]

router = APIRouter(tags=["overview"])


class Cell(BaseModel):
    """One sensor of a device."""

    sensor_id: int
    state: SensorState
    severity: Severity | None = Field(description="Highest severity of its unresolved alerts; null without any.")


class DeviceRow(BaseModel):
    """One device."""

    device: str
    cells: list[Cell | None] = Field(
        description="One for each of `tags`; null if the device has no sensor with that tag."
    )


class FleetMap(BaseModel):
    """Page of devices with their tags."""

    tags: list[str] = Field(description="Tags of the devices on this page; other pages may have other tags.")
    items: list[DeviceRow]
    next: str | None = Field(description="Value of `after` for the next page; null on the last page.")


@router.get("/api/fleet-map")
def fleet_map(
    context: ReadContext,
    limit: Annotated[int, Query(ge=1, le=500, description="Maximum number of devices on a page.")] = 50,
    after: After = None,
) -> FleetMap:
    """Show the state of every sensor, device by device."""
    store, freshness = context.product.store, context.product.freshness
    cursors = Cursors("fleet-map", {})
    place = cursors.read(after, tuple[str])
    devices = store.device_page(limit + 1, None if place is None else place[0])
    page = devices[:limit]
    sensors = store.sensors_of(page)
    alerts = store.open_alerts([sensor.sensor_id for sensor in sensors])
    tags = sorted({sensor.key.tag for sensor in sensors})
    rows: dict[str, dict[str, Cell]] = {device: {} for device in page}
    for sensor in sensors:
        rows.setdefault(sensor.key.device, {})[sensor.key.tag] = Cell(
            sensor_id=sensor.sensor_id,
            state=shown(sensor, freshness).state,
            severity=_worst(alerts.get(sensor.sensor_id, [])),
        )
    return FleetMap(
        tags=tags,
        items=[DeviceRow(device=device, cells=[cells.get(tag) for tag in tags]) for device, cells in rows.items()],
        next=cursors.write([page[-1]]) if len(devices) > limit else None,
    )


def _worst(severities: list[str]) -> Severity | None:
    return next((each for each in reversed(SEVERITIES) if each in severities), None)
