"""Status of real-time scoring: counts, models, and newest results."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sensorwatch.api.requests import ReadContext
from sensorwatch.realtime.records import ModelUse, ServedWindow
from sensorwatch.sensors.records import SensorKey

__all__ = ["router"]

router = APIRouter(tags=["real time"])

_NEWEST = 100


class ServingCountsOut(BaseModel):
    """Number of readings of a partition by outcome; `received` is the sum of the other counts."""

    hub: str
    consumer_group: str
    partition_id: str
    received: int
    scored: int
    not_in_time: int
    without_model: int
    late: int
    duplicate: int
    invalid: int
    updated: datetime


class ServedModel(BaseModel):
    """Statistics of a model since it was first used."""

    model: str = Field(description="`own` for the sensor's own model, or a name in `sensorwatch.yaml`.")
    detector: str
    since: datetime
    version: str
    version_since: datetime
    uses: int = Field(description="Number of windows scored within the deadline.")
    mean_ms: float | None
    p99_ms: float | None
    longest_ms: float | None
    timeouts: int
    failures: int
    disagreement_rate: float | None = Field(description="Share of its results that differ from the decision.")


class RefusedModel(BaseModel):
    """Model version that was refused; the previous one stays in use."""

    model: str
    shard: int
    version: str
    reason: str
    refused_at: datetime


class Answer(BaseModel):
    """Result of a model for a window."""

    score: float
    version: str
    seconds: float


class ScoredWindow(BaseModel):
    """Window, scored from its readings so far, that at least one model found anomalous."""

    sensor_id: int
    device: str | None = Field(description="Null if the sensor is no longer in the catalogue.")
    tag: str | None
    ts: datetime
    readings: int
    value: float
    score: float
    winner: str
    decider: str
    model_version: str
    disagreement: bool
    answers: dict[str, Answer | None] = Field(description="Result of each model; null if it missed the deadline.")
    scored_at: datetime


class Serving(BaseModel):
    """Real-time scoring: counts, models, and the newest windows that a model found anomalous."""

    partitions: list[ServingCountsOut]
    models: list[ServedModel]
    refused: list[RefusedModel]
    windows: list[ScoredWindow]


@router.get("/api/serving")
def serving(context: ReadContext) -> Serving:
    """Show the status of real-time scoring; all lists are empty if it is off."""
    store = context.product.store
    windows = store.served_windows(limit=_NEWEST)
    names = context.names({window.sensor_id for window in windows})
    return Serving(
        partitions=[
            ServingCountsOut(**each.partition._asdict(), **each.counts._asdict(), updated=each.updated)
            for each in store.serving_status()
        ],
        models=[_model(use) for use in store.model_uses()],
        refused=[
            RefusedModel(
                model=each.model,
                shard=each.shard,
                version=each.version,
                reason=each.reason,
                refused_at=each.refused_at,
            )
            for each in store.refused_versions()
        ],
        windows=[_window(window, names.get(window.sensor_id)) for window in windows],
    )


def _model(use: ModelUse) -> ServedModel:
    return ServedModel.model_validate(use.summary())


def _window(window: ServedWindow, name: SensorKey | None) -> ScoredWindow:
    return ScoredWindow(
        sensor_id=window.sensor_id,
        device=None if name is None else name.device,
        tag=None if name is None else name.tag,
        ts=datetime.fromtimestamp(window.end, UTC),
        readings=window.readings,
        value=window.value,
        score=window.score,
        winner=window.winner,
        decider=window.combiner,
        model_version=window.model_version,
        disagreement=window.models_disagree,
        answers={
            name: None if each is None else Answer(score=each.score, version=each.version, seconds=each.seconds)
            for name, each in window.answers.items()
        },
        scored_at=window.scored_at,
    )
