"""What a detector is: a model of one sensor's values, fitted and applied for many sensors at once.

A detector gives raw scores only; :mod:`sensorwatch.calibration` turns them into 0-100, a severity and a decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

__all__ = ["Deciding", "Detector", "Fitted", "Series", "anomalous"]


@dataclass(frozen=True, slots=True)
class Series:
    """The windows of many sensors, one sensor behind the other, each in the order of time.

    Sensor ``i`` owns ``values[offsets[i]:offsets[i + 1]]``, which may be empty.

    Attributes
    ----------
    offsets
        Shape ``(n_sensors + 1,)``, starts at 0, ends at ``n_values``, never falls.
    times
        Ends of the windows in seconds since 1970-01-01T00:00:00Z, shape ``(n_values,)``.
    values
        Means of the windows, shape ``(n_values,)``; may hold NaN and infinities.
    """

    offsets: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    @classmethod
    def grouped(
        cls, sensor_id: npt.NDArray[np.int64], times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], Series]:
        """Return the sensors and their series from columns ordered by (sensor_id, time), without a copy.

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
        """Return the sensors from ``first`` up to but not including ``last``, as views."""
        start, stop = int(self.offsets[first]), int(self.offsets[last])
        return Series(
            self.offsets[first : last + 1] - self.offsets[first], self.times[start:stop], self.values[start:stop]
        )

    def finite(self) -> Series:
        """Return the series without NaN and infinities; itself where there are none.

        Examples
        --------
        >>> series = Series(np.array([0, 2, 3]), np.array([5, 10, 5]), np.array([1.0, np.nan, 2.0]))
        >>> series.finite().offsets.tolist()
        [0, 1, 2]
        """
        keep = np.isfinite(self.values)
        if keep.all():
            return self
        kept_before = np.concatenate(([0], np.cumsum(keep)))
        return Series(kept_before[self.offsets], self.times[keep], self.values[keep])


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fitting gave: one row of parameters per sensor, null where ``reasons`` says why there is no model.

    Attributes
    ----------
    params
        A struct per sensor, shape ``(n_sensors,)``; its fields are the detector's own.
    reasons
        Why a sensor could not be fitted, written for a person; None for a fitted one.
    """

    params: pa.StructArray
    reasons: tuple[str | None, ...]


class Detector(Protocol):
    """One way to tell unusual values from usual ones; stateless, so one object serves every shard.

    Attributes
    ----------
    name
        What settings and model shards call it; a stored name always means the same arithmetic.
    threshold
        The highest raw score that is still normal, for every sensor; None: the calibration says it of each sensor, as
        the raw score that one normal window in a thousand exceeds.
    """

    name: str

    @property
    def threshold(self) -> float | None:
        """The highest raw score that is still normal."""
        ...

    def fit(self, series: Series) -> Fitted:
        """Fit one model per sensor.

        Only finite values are used. A sensor that can't be fitted gets a reason and disturbs no other; each sensor's
        parameters depend on its own values alone. ``series`` is not changed.
        """
        ...

    def score(self, params: pa.StructArray, series: Series) -> npt.NDArray[np.float64]:
        """Return raw scores, shape ``(n_values,)``: the higher, the more anomalous.

        NaN where the value is NaN or the sensor has no parameters. ``series`` is not changed.
        """
        ...

    def expected_range(self, params: pa.StructArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the lowest and the highest normal value of each sensor, each of shape ``(n_sensors,)``.

        NaN where a detector has no such range: one that looks at more than the value itself, or a model to which
        nothing is normal.
        """
        ...


@runtime_checkable
class Deciding(Protocol):
    """A detector with a threshold of its own that decides faster than it scores."""

    def anomalous(self, params: pa.StructArray, series: Series) -> npt.NDArray[np.bool_]:
        """Return whether each raw score is above the threshold, shape ``(n_values,)``; False for NaN."""
        ...


def anomalous(
    detector: Detector, params: pa.StructArray, series: Series, threshold: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return a detector's decisions, shape ``(n_values,)``, in the fastest way that it has.

    Parameters
    ----------
    detector, params, series
        What decides on what.
    threshold
        The highest raw score of each sensor that is still normal, shape ``(n_sensors,)``.
    """
    if isinstance(detector, Deciding):
        return detector.anomalous(params, series)
    return np.asarray(detector.score(params, series) > np.repeat(threshold, series.lengths))
