"""Model versions of shards, and rollback."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import After, Context, Page, ReadContext, Shard
from sensorwatch.api.sensor_models import version_time
from sensorwatch.errors import NotFoundError
from sensorwatch.models.records import ModelRef
from sensorwatch.store.pages.queries import ShardSize

__all__ = ["router"]

router = APIRouter(prefix="/api/models", tags=["models"])

_Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of items on a page.")]


class ShardModels(BaseModel):
    """Shard with the model version in use."""

    shard: int
    sensors: int
    current_version: str | None = Field(examples=["20261120T100000Z-0123456789abcdef"])
    created_at: datetime | None = Field(description="End of the newest window of the training run that created it.")
    versions: int = Field(description="Number of stored versions, including the one in use.")


class ModelVersion(BaseModel):
    """One version of a shard's models, from its manifest."""

    version: str
    current: bool
    created_at: datetime
    training_start: datetime | None = Field(description="End of the first window of its training data.")
    training_end: datetime | None
    rows: int | None = Field(description="Number of sensors in it; null if the manifest does not say.")
    code_version: str | None
    refused: int | None = Field(description="Number of trained models that were not put in use.")
    run_id: str | None = Field(description="Run that trained it; null for imported models.")
    states: dict[str, int] = Field(description="Number of sensors by state.")
    detectors: dict[str, int] = Field(description="Number of models by detector.")


class Rollback(BaseModel):
    """Version to roll back to."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[str, Field(pattern=r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}$")] = Field(
        examples=["20261120T100000Z-0123456789abcdef"]
    )


@router.get("")
def models(context: ReadContext, limit: _Limit = 25, after: After = None) -> Page[ShardModels]:
    """List shards with the model version in use."""
    cursors = Cursors("models", {})
    place = cursors.read(after, tuple[Key])
    found = context.product.store.shard_page(limit + 1, None if place is None else place[0])
    page = found[:limit]
    return Page(items=_shards(context, page), next=cursors.write([page[-1].shard]) if len(found) > limit else None)


@router.get("/{shard}/versions")
def versions(context: ReadContext, shard: Shard, limit: _Limit = 25, after: After = None) -> Page[ModelVersion]:
    """List the model versions of a shard, newest first."""
    _size(context, shard)
    cursors = Cursors("versions", {"shard": shard})
    place = cursors.read(after, tuple[str])
    known = context.model_versions.of_shard(shard)
    rest = [ref for ref in known.versions if place is None or ref.version < place[0]]
    page = rest[:limit]
    manifests = context.model_versions.manifests(page)
    return Page(
        items=[_version(ref, ref == known.current, manifest) for ref, manifest in zip(page, manifests, strict=True)],
        next=cursors.write([page[-1].version]) if len(rest) > limit else None,
    )


@router.post("/{shard}/rollback")
def rollback(context: ReadContext, shard: Shard, body: Rollback) -> ShardModels:
    """Put another version of a shard's models in use; the next training starts from it."""
    from sensorwatch.models.rollback import roll_back

    size = _size(context, shard)
    roll_back(shard, body.version, store=context.product.store, registry=context.product.models)
    return _shards(context, [size])[0]


def _size(context: Context, shard: int) -> ShardSize:
    found = context.product.store.shard_page(1, shard - 1)
    if not found:
        raise NotFoundError(f"no shard {shard}; /api/models lists them")
    return found[0]


def _shards(context: Context, page: list[ShardSize]) -> list[ShardModels]:
    known = context.model_versions.of_shards([size.shard for size in page])
    return [
        ShardModels(
            shard=size.shard,
            sensors=size.sensors,
            current_version=None if each.current is None else each.current.version,
            created_at=None if each.current is None else version_time(each.current.version),
            versions=len(each.versions),
        )
        for size, each in zip(page, known, strict=True)
    ]


def _version(ref: ModelRef, current: bool, manifest: dict[str, object]) -> ModelVersion:
    return ModelVersion(
        version=ref.version,
        current=current,
        created_at=version_time(ref.version),
        training_start=_time(manifest.get("training_start")),
        training_end=_time(manifest.get("training_end")),
        rows=_number(manifest.get("rows")),
        code_version=_text(_object(manifest.get("versions")).get("sensorwatch")),
        refused=_number(manifest.get("refused")),
        run_id=_text(manifest.get("run_id")),
        states=_counts(manifest.get("states")),
        detectors=_counts(manifest.get("detectors")),
    )


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _number(value: object) -> int | None:
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, int) else None


def _counts(value: object) -> dict[str, int]:
    return {name: number for name, number in _object(value).items() if isinstance(number, int)}


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
