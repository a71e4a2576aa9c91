"""Selection of the windows that the sensors of a shard are trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.detectors.windowing.series import Series

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy.typing as npt
    import pyarrow as pa

    from sensorwatch.sensors.downtime import DowntimePlan
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.sensors.windows import WindowColumns

__all__ = ["TrainingBatch", "newest_windows_to_train", "since_new_trends", "training_batches", "without_downtime"]

_BATCH_VALUES = 1_000_000
"""Values that are trained on at once: enough to be fast, few enough to keep temporary arrays small."""


class TrainingBatch(NamedTuple):
    """Training windows of some sensors, at least one window each.

    Attributes
    ----------
    sensor_ids
        Ids of the sensors, ascending, shape ``(n_sensors,)``, int64.
    series
        Their windows.
    """

    sensor_ids: npt.NDArray[np.int64]
    series: Series


def newest_windows_to_train(
    sensors: Sequence[SensorStatus], models: pa.Table | None, end: datetime
) -> dict[int, datetime]:
    """Return the newest windows of the sensors to train, which have no model or windows newer than its training.

    Parameters
    ----------
    sensors
        Sensors that may be trained.
    models
        The model table in use; None if there is none.
    end
        Inclusive end (UTC) of the windows that may be used.

    Returns
    -------
    dict
        End (UTC) of the newest window, by sensor id.
    """
    seen: dict[int, int | None] = {}
    if models is not None:
        seen = dict(zip(models["sensor_id"].to_pylist(), models["training_end"].to_pylist(), strict=True))
    newest = {sensor.sensor_id: min(sensor.last_window, end) for sensor in sensors if sensor.last_window}
    return {
        sensor_id: time
        for sensor_id, time in newest.items()
        if (until := seen.get(sensor_id)) is None or time.timestamp() > until
    }


def since_new_trends(columns: WindowColumns, trend_starts: Mapping[int, int]) -> WindowColumns:
    """Return the windows without those before the new trend of their sensor.

    Parameters
    ----------
    columns
        Windows of the shard.
    trend_starts
        Beginning of the new trend, in seconds since 1970-01-01T00:00:00Z, by the id of a sensor with such feedback.
    """
    if not trend_starts:
        return columns
    ids = np.array(sorted(trend_starts), np.int64)
    ends = np.array([trend_starts[sensor_id] for sensor_id in sorted(trend_starts)], np.int64)
    position = np.minimum(np.searchsorted(ids, columns.sensor_id), len(ids) - 1)
    keep = (ids[position] != columns.sensor_id) | (columns.end > ends[position])
    return columns.only(keep)


def without_downtime(columns: WindowColumns, sensors: Sequence[SensorStatus], downtime: DowntimePlan) -> WindowColumns:
    """Return the windows without those during downtime.

    Parameters
    ----------
    columns
        Windows of the shard.
    sensors
        Sensors of the shard, ordered by id.
    downtime
        The planned downtime.
    """
    if not downtime.entries:
        return columns
    ids = np.array([sensor.sensor_id for sensor in sensors], np.int64)
    # A sensor registered after the catalogue was read can have windows here, but is not trained by this task.
    position = np.minimum(np.searchsorted(ids, columns.sensor_id), len(ids) - 1)
    keep = ~downtime.mask([sensor.key for sensor in sensors], position, columns.end)
    return columns.only(keep)


def training_batches(
    found: npt.NDArray[np.int64], series: Series, keep: npt.NDArray[np.bool_]
) -> Iterator[TrainingBatch]:
    """Yield some of the windows of sensors, several sensors at a time; sensors without such windows are left out.

    Parameters
    ----------
    found
        Ids of the sensors, ascending, shape ``(n_sensors,)``, int64.
    series
        Their windows.
    keep
        Windows to yield, shape ``(n_values,)``, bool.
    """
    if not keep.all():
        found, series = Series.grouped(np.repeat(found, series.lengths)[keep], series.times[keep], series.values[keep])
    first, offsets = 0, series.offsets
    while first < series.n_sensors:
        last = int(np.searchsorted(offsets, offsets[first] + _BATCH_VALUES, side="right")) - 1
        last = max(last, first + 1)
        yield TrainingBatch(found[first:last], series.part(first, last))
        first = last
