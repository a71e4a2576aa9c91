"""The versions of one sensor's model."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sensorwatch.api.requests import ReadContext, SensorId, time
from sensorwatch.api.sensors import sensor_of

__all__ = ["router"]

router = APIRouter(tags=["models"])


class SensorModel(BaseModel):
    """What a version of the shard's models has for the sensor."""

    version: str = Field(examples=["20261120T100000Z-0123456789abcdef"])
    created_at: datetime = Field(description="End of the windows of the training that made the version.")
    current: bool
    detector: str
    training_start: datetime | None
    training_end: datetime | None
    windows: int
    state: str
    reason: str
    model_version: str = Field(description="Version that the sensor's model first appeared in; empty without one.")


class SensorModels(BaseModel):
    """Versions, newest first."""

    items: list[SensorModel]


@router.get("/api/sensors/{sensor_id}/models")
def sensor_models(
    context: ReadContext,
    sensor_id: SensorId,
    limit: Annotated[int, Query(ge=1, le=50, description="Look at so many versions of the shard.")] = 10,
) -> SensorModels:
    """List the newest versions of the sensor's model; versions that say nothing of it are left out."""
    shard = context.model_versions.of_shard(sensor_of(context, sensor_id).shard)
    refs = shard.versions[:limit]
    rows = context.model_versions.sensor_rows(refs, sensor_id)
    return SensorModels(
        items=[
            SensorModel(
                version=ref.version,
                created_at=version_time(ref.version),
                current=ref == shard.current,
                detector=row["detector"],
                training_start=None if row["training_start"] is None else time(row["training_start"]),
                training_end=None if row["training_end"] is None else time(row["training_end"]),
                windows=row["windows"],
                state=row["state"],
                reason=row["reason"],
                model_version=row["version"],
            )
            for ref, row in zip(refs, rows, strict=True)
            if row is not None
        ]
    )


def version_time(version: str) -> datetime:
    """Return the time that a version's name begins with."""
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%S%z")
