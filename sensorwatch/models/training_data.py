"""Labelled windows as a table, for training supervised models in other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.windowing.lagged_values import lagged, positions
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.sensors.labelling import label_windows
from sensorwatch.sensors.labels import UNLABELLED, ShardLabels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sensorwatch.models.ports import WindowSource
    from sensorwatch.sensors.labels import LabelSpan
    from sensorwatch.sensors.records import SensorKey, SensorStatus

__all__ = ["labelled_windows"]

_US = 1_000_000


def labelled_windows(
    source: WindowSource,
    *,
    wanted: Callable[[SensorKey], bool],
    width: int,
    start: datetime | None,
    end: datetime,
    spans: Sequence[LabelSpan] | None = None,
) -> pa.Table:
    """Return the labelled windows with ``start < end_of_window <= end``, ordered by sensor and time.

    Columns are TS (end of the window, UTC), Device, Tag, ``Value1`` to ``Value<width>`` (the sensor's last values,
    oldest first; the last one is that of the window itself) and Label (1 anomalous, 0 normal). Windows without a label,
    and the first ``width - 1`` windows of each sensor, are left out.

    Parameters
    ----------
    source
        Source of windows, sensors and labels.
    wanted
        Returns True for the sensors to include.
    width
        Number of values in a row, at least 1.
    start
        Exclusive start of the range (UTC); None: no lower bound.
    end
        Inclusive end of the range (UTC).
    spans
        Labels to use instead of the stored ones; None: the stored ones.
    """
    by_shard: dict[int, list[SensorStatus]] = {}
    for sensor in source.sensors():
        if wanted(sensor.key):
            by_shard.setdefault(sensor.shard, []).append(sensor)
    tables = []
    for shard, sensors in sorted(by_shard.items()):
        columns = source.read_windows(shard, start, end)
        known = source.shard_labels(shard, start, end) if spans is None else ShardLabels(spans)
        ids, series = Series.grouped(columns.sensor_id, columns.end, columns.value)
        tables.append(_table(sensors, ids, series.finite(), known, width))
    return pa.concat_tables(tables) if tables else _empty(width)


def _empty(width: int) -> pa.Table:
    nothing = Series(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return _table([], np.zeros(0, np.int64), nothing, ShardLabels(), width)


def _table(
    sensors: Sequence[SensorStatus], ids: np.ndarray, series: Series, known: ShardLabels, width: int
) -> pa.Table:
    keys = {sensor.sensor_id: sensor.key for sensor in sensors}
    labels = label_windows(ids, series.offsets, series.times, known)
    keep = (labels != UNLABELLED) & (positions(series) >= width - 1)
    keep &= np.repeat(np.isin(ids, list(keys)), series.lengths)
    values = lagged(series, width)[keep]
    names = [keys[sensor_id] for sensor_id in np.repeat(ids, series.lengths)[keep].tolist()]
    columns = {
        "TS": pa.array(series.times[keep] * _US, pa.timestamp("us", "UTC")),
        "Device": pa.array([name.device for name in names], pa.string()),
        "Tag": pa.array([name.tag for name in names], pa.string()),
        **{f"Value{i + 1}": pa.array(values[:, i]) for i in range(width)},
        "Label": pa.array(labels[keep]),
    }
    return pa.table(columns)
