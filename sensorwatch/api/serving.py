"""How scoring in real time is doing, and what its models said."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from sensorwatch.api.requests import ReadContext
from sensorwatch.records import ModelUse, SensorKey, ServedWindow
from sensorwatch.serving.figures import model_figures, models_disagree

__all__ = ["router"]

router = APIRouter(tags=["real time"])

_NEWEST = 100


class ServingCountsOut(BaseModel):
    """What became of a partition's readings; `received` is the sum of the others."""

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
    """What a model did, since it was first used."""

    model: str = Field(description="`own`, or a name in `sensorwatch.yaml`.")
    detector: str
    since: datetime
    version: str
    version_since: datetime
    uses: int = Field(description="Windows that it answered for in time.")
    mean_ms: float | None
    p99_ms: float | None
    longest_ms: float | None
    timeouts: int
    failures: int
    disagreement_rate: float | None = Field(description="Share of its answers that were not what was decided.")


class RefusedModel(BaseModel):
    """A version that is not served; the one before stays in use."""

    model: str
    shard: int
    version: str
    reason: str
    refused_at: datetime


class Answer(BaseModel):
    """What a model said of a window."""

    score: float
    version: str
    seconds: float


class ScoredWindow(BaseModel):
    """A window as some of its readings were scored, and at least one model called it anomalous."""

    sensor_id: int
    device: str | None = Field(description="Null where the sensor is not in the catalogue any more.")
    tag: str | None
    ts: datetime
    readings: int
    value: float
    score: float
    winner: str
    decider: str
    model_version: str
    disagreement: bool
    answers: dict[str, Answer | None] = Field(description="By model; null where it was late.")
    scored_at: datetime


class Serving(BaseModel):
    """Scoring in real time: counts, models, and the newest windows that some model called anomalous."""

    partitions: list[ServingCountsOut]
    models: list[ServedModel]
    refused: list[RefusedModel]
    windows: list[ScoredWindow]


@router.get("/api/serving")
def serving(context: ReadContext) -> Serving:
    """Say how scoring in real time is doing; all lists are empty where nothing is scored so."""
    store = context.wiring.store
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
    return ServedModel.model_validate(model_figures(use))


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
        decider=window.decider,
        model_version=window.model_version,
        disagreement=models_disagree(window),
        answers={
            name: None if each is None else Answer(score=each.score, version=each.version, seconds=each.seconds)
            for name, each in window.answers.items()
        },
        scored_at=window.scored_at,
    )
