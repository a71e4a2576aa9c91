"""A sensor's windows, thinned out to what a chart can show."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sensorwatch.api.requests import Context, From, ReadContext, SensorId, To, seconds, time
from sensorwatch.api.sensors import sensor_of
from sensorwatch.page_records import MOST_WINDOWS, WindowRange

if TYPE_CHECKING:
    from sensorwatch.records import WindowColumns

__all__ = ["router"]

router = APIRouter(tags=["sensors"])

Method = Literal["minmax", "lttb"]


class Windows(BaseModel):
    """Windows as columns of the same length, in the order of time."""

    window_seconds: int = Field(description="Length of a window.")
    windows_in_range: int = Field(description="Windows that there are; the columns have `points` of them at most.")
    method: Method
    ts: list[int] = Field(description="Ends of the windows, seconds since 1970-01-01T00:00:00Z.")
    value: list[float | None] = Field(description="Means of their readings; null for one beyond all numbers.")
    readings: list[int] = Field(description="How many readings they hold.")
    expected_low: list[float | None] = Field(description="What the model in use expects; null where it has no range.")
    expected_high: list[float | None]
    first_ts: datetime | None = Field(
        description="No window of the sensor ends before this; its first one does at this, if the range begins there."
    )
    last_ts: datetime | None = Field(description="End of the sensor's newest window.")


@router.get("/api/sensors/{sensor_id}/windows")
def windows(
    context: ReadContext,
    sensor_id: SensorId,
    start: From = None,
    end: To = None,
    points: Annotated[int, Query(ge=4, le=20_000, description="Windows to answer with at most.")] = 2000,
    method: Annotated[
        Method, Query(description="`minmax` loses no extreme value, `lttb` looks most like the whole series.")
    ] = "minmax",
) -> Windows:
    """Show a sensor's windows: all of them where there are few, else those that a chart needs.

    Without `from`, the whole history up to `to`, or as much of its end as four million windows take in time.
    """
    store, window_seconds = context.wiring.store, context.wiring.settings.window_seconds
    sensor = sensor_of(context, sensor_id)
    whole = store.history_range(sensor_id)
    bounds = whole or WindowRange(0, 0)
    last = bounds.end if end is None else min(seconds(end) or 0, bounds.end)
    first = last - MOST_WINDOWS * window_seconds if start is None else seconds(start) or 0
    wanted = WindowRange(max(first, bounds.start), last)
    found = store.sensor_windows(sensor_id, wanted, window_seconds)
    low, high = _expected(context, sensor.shard, sensor_id)
    columns = _thinned(found, points, method)
    count = len(columns["ts"])
    earliest = columns["ts"][0] if count and wanted.start == bounds.start else bounds.start + 1
    return Windows(
        window_seconds=window_seconds,
        windows_in_range=len(found.end),
        method=method,
        **columns,
        expected_low=[low] * count,
        expected_high=[high] * count,
        first_ts=None if whole is None else time(earliest),
        last_ts=None if whole is None else time(whole.end),
    )


def _thinned(found: WindowColumns, points: int, method: Method) -> dict[str, Any]:
    import numpy as np

    from sensorwatch.downsampling import lttb, min_max

    finite = np.isfinite(found.value)
    value = np.where(finite, found.value, 0.0)
    keep = min_max(value, points) if method == "minmax" else lttb(found.end.astype(np.float64), value, points)
    values: list[float | None] = value[keep].tolist()
    for position in np.flatnonzero(~finite[keep]):
        values[position] = None
    return {"ts": found.end[keep].tolist(), "value": values, "readings": found.count[keep].tolist()}


def _expected(context: Context, shard: int, sensor_id: int) -> tuple[float | None, float | None]:
    """Return the range that the sensor's model in use expects."""
    current = context.wiring.models.current(shard)
    row = None if current is None else context.model_versions.sensor_rows([current], sensor_id)[0]
    return (None, None) if row is None else (row["expected_low"], row["expected_high"])
