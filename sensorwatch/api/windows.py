"""Windows of a sensor, downsampled for charts."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sensorwatch.api.requests import Context, From, ReadContext, SensorId, To, seconds, time
from sensorwatch.api.sensors import sensor_of
from sensorwatch.errors import InvalidInputError
from sensorwatch.sensors.windows import WindowRange
from sensorwatch.store.pages.queries import MOST_WINDOWS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sensorwatch.sensors.windows import WindowColumns

__all__ = ["router"]

router = APIRouter(tags=["sensors"])

Method = Literal["minmax", "lttb"]
Numbers: TypeAlias = "list[float | None]"

_MOST_EXPECTED = 10_000
"""Maximum number of windows for which expected values are computed; that many take 0.1 s."""

_LEAD_SECONDS = 7200
"""Length of the history before the range that the model gets, because it judges each window by those before it."""


class Windows(BaseModel):
    """Windows as columns of the same length, ordered by time."""

    window_seconds: int = Field(description="Length of a window.")
    windows_in_range: int = Field(
        description="Number of windows in the range; the columns contain at most `points` of them."
    )
    method: Method
    ts: list[int] = Field(description="Ends of the windows, seconds since 1970-01-01T00:00:00Z.")
    value: list[float | None] = Field(description="Means of their readings; null if not finite.")
    readings: list[int] = Field(description="Numbers of readings in them.")
    expected_value: list[float | None] = Field(
        description="Values expected by the model in use; null if the detector expects none."
    )
    expected_low: list[float | None] = Field(description="Lower limits of the expected range; null for none.")
    expected_high: list[float | None] = Field(description="Upper limits of the expected range; null for none.")
    expected_left_out: bool = Field(
        description=f"True if expected values were left out because the range has more than {_MOST_EXPECTED} windows."
    )
    first_ts: datetime | None = Field(
        description="No window of the sensor ends before this time; its first one ends at it if the range starts there."
    )
    last_ts: datetime | None = Field(description="End of the sensor's newest window.")


@router.get("/api/sensors/{sensor_id}/windows")
def windows(
    context: ReadContext,
    sensor_id: SensorId,
    start: From = None,
    end: To = None,
    points: Annotated[int, Query(ge=4, le=20_000, description="Maximum number of windows in the response.")] = 2000,
    method: Annotated[
        Method, Query(description="`minmax` keeps all extreme values, `lttb` preserves the shape of the series best.")
    ] = "minmax",
) -> Windows:
    """Show the windows of a sensor, downsampled to `points`.

    Without `from`, the range is the whole history up to `to`, or the time span of the last four million windows of it.
    """
    store, window_seconds = context.product.store, context.product.settings.window_seconds
    sensor = sensor_of(context, sensor_id)
    whole = store.history_range(sensor_id)
    bounds = whole or WindowRange(0, 0)
    last = bounds.end if end is None else min(seconds(end) or 0, bounds.end)
    first = last - MOST_WINDOWS * window_seconds if start is None else seconds(start) or 0
    wanted = WindowRange(max(first, bounds.start), last)
    found = store.sensor_windows(sensor_id, wanted, window_seconds)
    keep = _kept(found, points, method)
    ends = found.end[keep].tolist()
    earliest = ends[0] if ends and wanted.start == bounds.start else bounds.start + 1
    expected = _expected(context, sensor.shard, found, WindowRange(bounds.start, wanted.start), keep)
    return Windows(
        window_seconds=window_seconds,
        windows_in_range=len(found.end),
        method=method,
        ts=ends,
        value=_numbers(found.value[keep]),
        readings=found.count[keep].tolist(),
        expected_value=expected.value,
        expected_low=expected.low,
        expected_high=expected.high,
        expected_left_out=expected.left_out,
        first_ts=None if whole is None else time(earliest),
        last_ts=None if whole is None else time(whole.end),
    )


def _kept(found: WindowColumns, points: int, method: Method) -> npt.NDArray[np.int64]:
    """Return the positions of the windows in the response."""
    import numpy as np

    from sensorwatch.api.downsampling import lttb, min_max

    value = np.where(np.isfinite(found.value), found.value, 0.0)
    return min_max(value, points) if method == "minmax" else lttb(found.end.astype(np.float64), value, points)


class _Expected(NamedTuple):
    value: Numbers
    low: Numbers
    high: Numbers
    left_out: bool = False


def _expected(
    context: Context, shard: int, found: WindowColumns, before: WindowRange, keep: npt.NDArray[np.int64]
) -> _Expected:
    """Return the values that the sensor's model in use expects for the windows in the response."""
    from sensorwatch.models.scoring.expected import expected_windows, expects

    product, count = context.product, len(keep)
    nothing = _Expected([None] * count, [None] * count, [None] * count)
    current = product.models.current(shard)
    if current is None or not count:
        return nothing
    sensor_id = int(found.sensor_id[0])
    row = context.model_versions.sensor_rows([current], sensor_id)[0]
    if row is None or not row["detector"]:
        return nothing
    low, high = _number(row["expected_low"]), _number(row["expected_high"])
    if low is not None or high is not None:
        return _Expected(nothing.value, [low] * count, [high] * count)
    policy = product.configuration.estimators
    try:
        if not expects(row["detector"], policy):
            return nothing
    except InvalidInputError:
        # The model was trained by a newer version of the code; the values can be shown without it.
        return nothing
    if len(found.end) > _MOST_EXPECTED:
        return nothing._replace(left_out=True)
    model = context.model_versions.sensor_model(current, sensor_id)
    if model is None:
        return nothing
    earlier = WindowRange(max(before.start, before.end - _LEAD_SECONDS), before.end)
    known = product.store.sensor_windows(sensor_id, earlier, product.settings.window_seconds)
    expected = expected_windows(model, _joined(known, found), policy)
    keep = keep + len(known.end)
    return _Expected(_numbers(expected.value[keep]), _numbers(expected.low[keep]), _numbers(expected.high[keep]))


def _joined(before: WindowColumns, after: WindowColumns) -> WindowColumns:
    import numpy as np

    from sensorwatch.sensors.windows import WindowColumns

    return WindowColumns(
        sensor_id=np.concatenate((before.sensor_id, after.sensor_id)),
        end=np.concatenate((before.end, after.end)),
        value=np.concatenate((before.value, after.value)),
        count=np.concatenate((before.count, after.count)),
    )


def _numbers(values: npt.NDArray[np.float64]) -> Numbers:
    return [_number(value) for value in values.tolist()]


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
