"""Reading the windows that sensors are trained on.

A sensor is trained on its windows of the last ``training_seconds``, and on older ones until it has enough. Both are
counted back from its own newest window, so the result doesn't depend on the sensors that are read together with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.windowing.series import Series
from sensorwatch.models.training.older_windows import MissingWindows, read_older_windows
from sensorwatch.models.training.sensor_windows import since_new_trends, training_batches, without_downtime
from sensorwatch.sensors.windows import WindowColumns, WindowRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy.typing as npt

    from sensorwatch.models.training.older_windows import OlderWindows, WindowHistory
    from sensorwatch.models.training.ranges import TrainingRange
    from sensorwatch.models.training.sensor_windows import TrainingBatch
    from sensorwatch.sensors.downtime import DowntimePlan
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.tasks.records import TaskSpec

__all__ = ["TrainingReader"]


class TrainingReader:
    """Reader of the training windows of a shard's sensors.

    Parameters
    ----------
    store
        Source of the windows.
    task
        The shard, and the windows that may be used.
    sensors
        All sensors of the shard. Windows before the beginning of a sensor's new trend are left out.
    newest
        End of each sensor's newest training window (UTC), by sensor id.
    training_seconds
        Length of a sensor's training range, in seconds up to its newest window.
    older
        Limits of older windows for sensors with few windows in the range; None to use the range alone.
    downtime
        Windows measured during downtime are left out.
    """

    def __init__(
        self,
        store: WindowHistory,
        task: TaskSpec,
        sensors: Sequence[SensorStatus],
        *,
        newest: Mapping[int, datetime],
        training_seconds: int,
        older: OlderWindows | None,
        downtime: DowntimePlan,
    ) -> None:
        self._store = store
        self._task = task
        self._sensors = sensors
        self._newest = {sensor_id: int(end.timestamp()) for sensor_id, end in newest.items()}
        self._training_seconds = training_seconds
        self._older = older
        self._downtime = downtime
        self.trend_starts = {
            sensor.sensor_id: int(sensor.train_from.timestamp()) for sensor in sensors if sensor.train_from
        }
        """Beginning of the sensors' new trends, in seconds since 1970-01-01T00:00:00Z, by sensor id."""

    def batches(self, wanted: TrainingRange) -> Iterator[TrainingBatch]:
        """Yield the training windows of the sensors of a range; sensors without usable windows are left out."""
        start = max(wanted.start, self._task.start) if self._task.start else wanted.start
        read = self._store.read_windows(self._task.shard, start, wanted.end)
        rows, columns = len(read.end), self._usable(read)
        del read
        found, whole = Series.grouped(columns.sensor_id, columns.end, columns.value)
        asked = np.isin(found, wanted.sensor_ids)
        age = self._age(found, whole)
        keep = (age >= 0) & (age < self._training_seconds) & np.repeat(asked, whole.lengths)
        if self._older is None:
            yield from training_batches(found, whole, keep)
            return
        few = asked & (whole.count(keep & np.isfinite(whole.values)) < self._older.number)
        of_few = np.repeat(few, whole.lengths)
        yield from training_batches(found, whole, keep & ~of_few)
        known = columns.only(of_few & (age >= 0))
        del columns, whole, age, keep
        few_ids = [*found[few].tolist(), *sorted(set(wanted.sensor_ids) - set(found.tolist()))]
        if few_ids:
            bounds = WindowRange(int(start.timestamp()), int(wanted.end.timestamp()))
            yield from self._extended(few_ids, known, bounds, rows, self._older)

    def _extended(
        self, sensor_ids: Sequence[int], known: WindowColumns, read: WindowRange, rows: int, older: OlderWindows
    ) -> Iterator[TrainingBatch]:
        """Yield the training windows of sensors with few windows in the training range."""
        ids, counts = np.unique(known.sensor_id[np.isfinite(known.value)], return_counts=True)
        number = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        missing = {
            sensor_id: MissingWindows(older.number - number.get(sensor_id, 0), self._since(sensor_id, older))
            for sensor_id in sensor_ids
        }
        parts = read_older_windows(
            self._store,
            self._task.shard,
            missing,
            read=read,
            rows=rows,
            usable=self._usable,
            window_seconds=older.window_seconds,
        )
        columns = _joined([known, *parts])
        found, whole = Series.grouped(columns.sensor_id, columns.end, columns.value)
        age = self._age(found, whole)
        finite = np.concatenate(([0], np.cumsum(np.isfinite(whole.values))))
        newer = np.repeat(finite[whole.offsets[1:]], whole.lengths) - finite[1:]
        keep = (age < self._training_seconds) | ((newer < older.number) & (age < older.age_seconds))
        yield from training_batches(found, whole, keep)

    def _since(self, sensor_id: int, older: OlderWindows) -> int:
        """Return the exclusive start of the time in which a sensor's windows may be."""
        since = max(self._newest[sensor_id] - older.age_seconds, self.trend_starts.get(sensor_id, 0))
        return since if self._task.start is None else max(since, int(self._task.start.timestamp()))

    def _age(self, found: npt.NDArray[np.int64], whole: Series) -> npt.NDArray[np.int64]:
        """Return the age of each window before its sensor's newest one, in seconds; negative for newer windows."""
        newest = np.array([self._newest.get(sensor_id, 0) for sensor_id in found.tolist()], np.int64)
        return np.repeat(newest, whole.lengths) - whole.times

    def _usable(self, columns: WindowColumns) -> WindowColumns:
        """Leave out windows before the beginning of new trends, as feedback states it, and those in downtime."""
        return without_downtime(since_new_trends(columns, self.trend_starts), self._sensors, self._downtime)


def _joined(parts: Sequence[WindowColumns]) -> WindowColumns:
    """Return the windows of all parts, ordered by (sensor_id, end)."""
    sensor_id = np.concatenate([part.sensor_id for part in parts])
    end = np.concatenate([part.end for part in parts])
    order = np.lexsort((end, sensor_id))
    return WindowColumns(
        sensor_id[order],
        end[order],
        np.concatenate([part.value for part in parts])[order],
        np.concatenate([part.count for part in parts])[order],
    )
