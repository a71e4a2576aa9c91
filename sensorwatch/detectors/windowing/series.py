"""Windows of many sensors as arrays, the input of detectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

__all__ = ["VALUES_AT_ONCE", "Series"]

VALUES_AT_ONCE = 1 << 16
"""Values that are processed at once, so that the working arrays fit in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Series:
    """Windows of many sensors, one sensor after the other, each in the order of time.

    Sensor ``i`` owns ``values[offsets[i]:offsets[i + 1]]``, which may be empty.

    Attributes
    ----------
    offsets
        Shape ``(n_sensors + 1,)``, from 0 to ``n_values``, never decreasing.
    times
        Ends of the windows in seconds since 1970-01-01T00:00:00Z, shape ``(n_values,)``.
    values
        Means of the windows, shape ``(n_values,)``; may be NaN or infinite.
    labels
        Label of each window (:mod:`sensorwatch.sensors.labels`), shape ``(n_values,)``; None if labels were not asked
        for.
    """

    offsets: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int8] | None = None

    @classmethod
    def grouped(
        cls, sensor_id: npt.NDArray[np.int64], times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], Series]:
        """Return the ids of sensors, and their series, from columns ordered by (sensor_id, time), without copying.

        Parameters
        ----------
        sensor_id
            Id of each window's sensor, shape ``(n_values,)``.
        times
            Ends of the windows in seconds since 1970-01-01T00:00:00Z, shape ``(n_values,)``.
        values
            Means of the windows, shape ``(n_values,)``.

        Examples
        --------
        >>> ids, series = Series.grouped(np.array([3, 3, 7]), np.array([5, 10, 5]), np.array([1.0, 2.0, 3.0]))
        >>> ids.tolist(), series.offsets.tolist()
        ([3, 7], [0, 2, 3])
        """
        new = np.ones(len(sensor_id), np.bool_)
        new[1:] = sensor_id[1:] != sensor_id[:-1]
        starts = np.flatnonzero(new)
        return sensor_id[starts], cls(np.append(starts, len(sensor_id)).astype(np.int64), times, values)

    @property
    def n_sensors(self) -> int:
        """Number of sensors."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of windows of each sensor, shape ``(n_sensors,)``."""
        return np.diff(self.offsets)

    def part(self, first: int, last: int) -> Series:
        """Return the sensors ``first`` (inclusive) to ``last`` (exclusive), as views."""
        start, stop = int(self.offsets[first]), int(self.offsets[last])
        return Series(
            self.offsets[first : last + 1] - self.offsets[first],
            self.times[start:stop],
            self.values[start:stop],
            None if self.labels is None else self.labels[start:stop],
        )

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of sensors (first inclusive, last exclusive) of at most :data:`VALUES_AT_ONCE` values each.

        A sensor with more values is a range of its own.
        """
        first = 0
        while first < self.n_sensors:
            last = int(np.searchsorted(self.offsets, self.offsets[first] + VALUES_AT_ONCE, side="right")) - 1
            last = max(last, first + 1)
            yield first, last
            first = last

    def kept(self, keep: npt.NDArray[np.bool_]) -> Series:
        """Return the series with some of its windows, and the same number of sensors.

        Parameters
        ----------
        keep
            Whether each window is kept, shape ``(n_values,)``.
        """
        before = np.concatenate(([0], np.cumsum(keep)))
        labels = None if self.labels is None else self.labels[keep]
        return Series(before[self.offsets], self.times[keep], self.values[keep], labels)

    def finite(self) -> Series:
        """Return the series without NaN and infinities; itself if there are none.

        Examples
        --------
        >>> series = Series(np.array([0, 2, 3]), np.array([5, 10, 5]), np.array([1.0, np.nan, 2.0]))
        >>> series.finite().offsets.tolist()
        [0, 1, 2]
        """
        keep = np.isfinite(self.values)
        return self if keep.all() else self.kept(keep)

    def of(self, sensors: npt.NDArray[np.bool_]) -> Series:
        """Return the series of some sensors.

        Parameters
        ----------
        sensors
            Whether each sensor is returned, shape ``(n_sensors,)``.
        """
        kept = self.kept(np.repeat(sensors, self.lengths))
        offsets = np.concatenate(([0], np.cumsum(self.lengths[sensors])))
        return Series(offsets, kept.times, kept.values, kept.labels)

    def count(self, flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Return the number of flagged windows of each sensor, shape ``(n_sensors,)``.

        Parameters
        ----------
        flags
            Whether each window is flagged, shape ``(n_values,)``.

        Examples
        --------
        >>> series = Series(np.array([0, 2, 2, 3]), np.array([5, 10, 5]), np.zeros(3))
        >>> series.count(np.array([True, True, False])).tolist()
        [2, 0, 0]
        """
        return np.diff(np.concatenate(([0], np.cumsum(flags)))[self.offsets])

    def newest(self, otherwise: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the end of each sensor's last window, shape ``(n_sensors,)``.

        ``otherwise``, of the same shape, has the result for sensors without windows.
        """
        ends = otherwise.copy()
        filled = np.flatnonzero(self.lengths)
        ends[filled] = self.times[self.offsets[filled + 1] - 1]
        return ends
