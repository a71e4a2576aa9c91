"""A sensor's windows, thinned out to what a chart can show."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sensorwatch.api.requests import Context, From, ReadContext, SensorId, To, seconds, time
from sensorwatch.api.sensors import sensor_of
from sensorwatch.errors import InvalidInputError
from sensorwatch.page_records import MOST_WINDOWS, WindowRange

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sensorwatch.records import WindowColumns

__all__ = ["router"]

router = APIRouter(tags=["sensors"])

Method = Literal["minmax", "lttb"]
Numbers: TypeAlias = "list[float | None]"

_MOST_EXPECTED = 10_000
"""Windows that a model is asked about at most: it takes a tenth of a second."""

_LEAD_SECONDS = 7200
"""From how long before the range on windows are shown to the model, which judges each by those before it."""


class Windows(BaseModel):
    """Windows as columns of the same length, in the order of time."""

    window_seconds: int = Field(description="Length of a window.")
    windows_in_range: int = Field(description="Windows that there are; the columns have `points` of them at most.")
    method: Method
    ts: list[int] = Field(description="Ends of the windows, seconds since 1970-01-01T00:00:00Z.")
    value: list[float | None] = Field(description="Means of their readings; null for one beyond all numbers.")
    readings: list[int] = Field(description="How many readings they hold.")
    expected_value: list[float | None] = Field(
        description="What the model in use expects; null where no value is likelier than another, or none is known."
    )
    expected_low: list[float | None] = Field(description="From where to where it finds values normal.")
    expected_high: list[float | None]
    expected_left_out: bool = Field(
        description=f"It expects something of each window, but here are more than {_MOST_EXPECTED}: ask for less."
    )
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
    """Return the positions of the windows that are answered with."""
    import numpy as np

    from sensorwatch.downsampling import lttb, min_max

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
    """Return what the sensor's model in use expects of the windows that are kept."""
    from sensorwatch.steps.expected_windows import expected_windows, expects

    wiring, count = context.wiring, len(keep)
    nothing = _Expected([None] * count, [None] * count, [None] * count)
    current = wiring.models.current(shard)
    if current is None or not count:
        return nothing
    sensor_id = int(found.sensor_id[0])
    row = context.model_versions.sensor_rows([current], sensor_id)[0]
    if row is None or not row["detector"]:
        return nothing
    low, high = _number(row["expected_low"]), _number(row["expected_high"])
    if low is not None or high is not None:
        return _Expected(nothing.value, [low] * count, [high] * count)
    policy = wiring.configuration.estimators
    try:
        if not expects(row["detector"], policy):
            return nothing
    except InvalidInputError:
        # A newer version of the code knows the detector: the values are there to be looked at all the same.
        return nothing
    if len(found.end) > _MOST_EXPECTED:
        return nothing._replace(left_out=True)
    model = context.model_versions.sensor_model(current, sensor_id)
    if model is None:
        return nothing
    earlier = WindowRange(max(before.start, before.end - _LEAD_SECONDS), before.end)
    known = wiring.store.sensor_windows(sensor_id, earlier, wiring.settings.window_seconds)
    expected = expected_windows(model, _joined(known, found), policy)
    keep = keep + len(known.end)
    return _Expected(_numbers(expected.value[keep]), _numbers(expected.low[keep]), _numbers(expected.high[keep]))


def _joined(before: WindowColumns, after: WindowColumns) -> WindowColumns:
    import numpy as np

    from sensorwatch.records import WindowColumns

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
