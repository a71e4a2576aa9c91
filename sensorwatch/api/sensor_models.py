"""Versions of the model of one sensor."""

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
    """Model of the sensor in one version of its shard's models."""

    version: str = Field(examples=["20261120T100000Z-0123456789abcdef"])
    created_at: datetime = Field(description="End of the newest window of the training run that created the version.")
    current: bool
    detector: str
    training_start: datetime | None
    training_end: datetime | None
    windows: int
    state: str
    reason: str
    model_version: str = Field(
        description="Version in which the sensor's model first appeared; empty if there is no model."
    )


class SensorModels(BaseModel):
    """Versions of the sensor's model, newest first."""

    items: list[SensorModel]


@router.get("/api/sensors/{sensor_id}/models")
def sensor_models(
    context: ReadContext,
    sensor_id: SensorId,
    limit: Annotated[int, Query(ge=1, le=50, description="Number of versions of the shard to search.")] = 10,
) -> SensorModels:
    """List the newest versions of the sensor's model, without versions that do not contain the sensor."""
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
    """Return the time at the beginning of a version's name, in UTC."""
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%S%z")
