"""Dependencies and parameters shared by the handlers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from sensorwatch.api.access import Principal
from sensorwatch.api.rates import RateMeter
from sensorwatch.app import Product
from sensorwatch.models.versions import ModelVersions
from sensorwatch.sensors.records import SensorKey

__all__ = [
    "After",
    "AlertId",
    "Context",
    "DeviceFilter",
    "From",
    "Limit",
    "Page",
    "ReadContext",
    "RunId",
    "Sender",
    "SensorId",
    "Shard",
    "TagFilter",
    "To",
    "seconds",
    "time",
]

_T = TypeVar("_T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass
class Context:
    """Access of the handlers to the use cases; one for the whole app."""

    get_product: Callable[[], Product]
    rates: RateMeter = field(default_factory=RateMeter)
    _versions: ModelVersions | None = None

    @property
    def product(self) -> Product:
        """Adapters and use cases."""
        return self.get_product()

    @property
    def model_versions(self) -> ModelVersions:
        """Reader of the contents of model versions."""
        if self._versions is None:
            self._versions = ModelVersions(self.product.models)
        return self._versions

    def names(self, sensor_ids: set[int]) -> dict[int, SensorKey]:
        """Return the names of the sensors that are in the catalogue, by id."""
        return self.product.store.sensor_keys(sensor_ids)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _sender(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


def _within_range(moment: datetime) -> datetime:
    if not _EPOCH <= moment <= _LATEST:
        raise ValueError("expected a time between 1970 and 2200")
    return moment


ReadContext = Annotated[Context, Depends(_context)]
Sender = Annotated[Principal, Depends(_sender)]

SensorId = Annotated[int, Path(ge=0, le=2**31 - 1, description="Sensor id.", examples=[0])]
Shard = Annotated[int, Path(ge=0, le=2**31 - 1, description="Shard number.", examples=[0])]
RunId = Annotated[str, Path(max_length=64, description="Run id.", examples=["score-20261120T101500Z"])]
AlertId = Annotated[str, Path(max_length=100, description="Alert id.", examples=["0-1795169700"])]

Limit = Annotated[int, Query(ge=1, le=1000, description="Maximum number of items on a page.")]
After = Annotated[
    str | None, Query(max_length=500, description="`next` of the previous page; filters must be the same.")
]
DeviceFilter = Annotated[str | None, Query(max_length=64, description="Only this device; exact match.")]
TagFilter = Annotated[str | None, Query(max_length=64, description="Only this tag; exact match.")]
_Time = Annotated[AwareDatetime, AfterValidator(_within_range)]
From = Annotated[
    _Time | None,
    Query(
        alias="from",
        description="Only windows that end after this time (ISO 8601 with time zone).",
        examples=["2026-11-20T10:00:00Z"],
    ),
]
To = Annotated[
    _Time | None,
    Query(alias="to", description="Only windows that end at or before this time.", examples=["2026-11-20T11:00:00Z"]),
]


class Page(BaseModel, Generic[_T]):
    """Page of a list."""

    items: list[_T]
    next: str | None = Field(description="Value of `after` for the next page; null on the last page.")


def time(seconds: int) -> datetime:
    """Return the UTC time for a number of seconds since 1970-01-01T00:00:00Z."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds(moment: datetime | None) -> int | None:
    """Return the whole seconds since 1970-01-01T00:00:00Z, rounded down; None for None."""
    return None if moment is None else int((moment - _EPOCH).total_seconds() // 1)
