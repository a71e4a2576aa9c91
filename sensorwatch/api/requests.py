"""What handlers are given: the product, the sender, and the parameters that lists share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from sensorwatch.api.access import Principal
from sensorwatch.api.rates import RateMeter
from sensorwatch.records import SensorKey
from sensorwatch.steps.model_versions import ModelVersions
from sensorwatch.wiring import Wiring

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
    """The product as handlers see it; made once for the app."""

    get_wiring: Callable[[], Wiring]
    rates: RateMeter = field(default_factory=RateMeter)
    _versions: ModelVersions | None = None

    @property
    def wiring(self) -> Wiring:
        """The adapters and steps."""
        return self.get_wiring()

    @property
    def model_versions(self) -> ModelVersions:
        """What is in the versions of the models."""
        if self._versions is None:
            self._versions = ModelVersions(self.wiring.models)
        return self._versions

    def names(self, sensor_ids: set[int]) -> dict[int, SensorKey]:
        """Return the names of sensors that are in the catalogue."""
        return self.wiring.store.sensor_keys(sensor_ids)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _sender(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


def _within_range(moment: datetime) -> datetime:
    if not _EPOCH <= moment <= _LATEST:
        raise ValueError("expected a time from 1970 to 2200")
    return moment


ReadContext = Annotated[Context, Depends(_context)]
Sender = Annotated[Principal, Depends(_sender)]

SensorId = Annotated[int, Path(ge=0, le=2**31 - 1, description="The sensor's number.", examples=[0])]
Shard = Annotated[int, Path(ge=0, le=2**31 - 1, description="The shard's number.", examples=[0])]
RunId = Annotated[str, Path(max_length=64, description="The run's id.", examples=["score-20261120T101500Z"])]
AlertId = Annotated[str, Path(max_length=100, description="The alert's id.", examples=["0-1795169700"])]

Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page at most.")]
After = Annotated[
    str | None, Query(max_length=500, description="`next` of the page before; the filters have to be the same.")
]
DeviceFilter = Annotated[str | None, Query(max_length=64, description="The sensor's device, exactly.")]
TagFilter = Annotated[str | None, Query(max_length=64, description="The sensor's tag, exactly.")]
_Time = Annotated[AwareDatetime, AfterValidator(_within_range)]
From = Annotated[
    _Time | None,
    Query(
        alias="from", description="Windows that end after this (ISO 8601 with zone).", examples=["2026-11-20T10:00:00Z"]
    ),
]
To = Annotated[
    _Time | None,
    Query(alias="to", description="Windows that end at this or before.", examples=["2026-11-20T11:00:00Z"]),
]


class Page(BaseModel, Generic[_T]):
    """A page of a list."""

    items: list[_T]
    next: str | None = Field(description="What `after` takes for the next page; null on the last one.")


def time(seconds: int) -> datetime:
    """Return the moment so many seconds after 1970-01-01T00:00:00Z, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds(moment: datetime | None) -> int | None:
    """Return whole seconds since 1970-01-01T00:00:00Z, rounded down."""
    return None if moment is None else int((moment - _EPOCH).total_seconds() // 1)
