"""Sensors that no longer vary raise alerts, which clear when they vary again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.records import SensorKey

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.alerting.policy import AlertPolicy
    from sensorwatch.ports import WatchStore
    from sensorwatch.watch_records import FlatChanges, FlatMemory

__all__ = ["watch_flatlines"]


def watch_flatlines(predictions: pa.Table, *, store: WatchStore, policy: AlertPolicy) -> tuple[int, int]:
    """Take in a prediction file's windows; return how many alerts of flat sensors opened, and how many cleared.

    Windows that are scored again are passed over, and so is all that is not newer than what was taken in before: a
    file that is delivered twice changes nothing.

    Parameters
    ----------
    predictions
        Those of one shard; columns as :mod:`sensorwatch.prediction_columns` documents them.
    """
    import numpy as np
    import pyarrow.compute as pc

    from sensorwatch.alerting.flatline import SensorWindows, flat_changes

    rows = predictions.filter(pc.invert(predictions["rescored"]))
    rows = rows.sort_by([("sensor_id", "ascending"), ("ts", "ascending")])
    if not rows.num_rows:
        return 0, 0
    windows = SensorWindows(*(rows[name].to_numpy() for name in ("sensor_id", "ts", "value")))
    ids, first = np.unique(windows.sensor_id, return_index=True)
    named = rows.select(["device", "tag"]).take(first)
    names = zip(ids.tolist(), named["device"].to_pylist(), named["tag"].to_pylist(), strict=True)
    keys = {sensor_id: SensorKey(device, tag) for sensor_id, device, tag in names}

    def decide(memory: FlatMemory) -> FlatChanges:
        return flat_changes(windows, keys, memory, policy)

    return store.watch_flat(keys, decide)
