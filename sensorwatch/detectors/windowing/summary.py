"""Summary statistics of training values, and the reasons why some sensors can't be fitted by any detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["CONSTANT_TOLERANCE", "MIN_SCALE", "Summary"]

CONSTANT_TOLERANCE = 1e-12
"""Relative difference up to which values are equal: averaging equal readings changes the last digits."""

MIN_SCALE = 1e-150
"""Least standard deviation or spread to divide by: its square does not underflow to 0."""


class Summary(NamedTuple):
    """Number, lowest, highest, mean and standard deviation of each sensor's values, each of shape ``(n_sensors,)``."""

    size: Integers
    lowest: Floats
    highest: Floats
    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, series: Series) -> Summary:
        """Return the summary of finite values; NaN for a sensor without values, infinite or NaN after overflow."""
        columns = np.full((4, series.n_sensors), np.nan)
        for first, last in series.chunks():
            cls._summarise(series.part(first, last), columns[:, first:last])
        return cls(series.lengths, *columns)

    @staticmethod
    def _summarise(series: Series, columns: Floats) -> None:
        size = series.lengths
        filled = np.flatnonzero(size)
        if not len(filled):
            return
        starts, n = series.offsets[filled], size[filled]
        with np.errstate(over="ignore", invalid="ignore"):
            lowest = np.minimum.reduceat(series.values, starts)
            highest = np.maximum.reduceat(series.values, starts)
            mean = np.add.reduceat(series.values, starts) / n
            deviation = series.values - np.repeat(mean, n)
            # The second pass corrects the rounding error of the mean.
            rest = np.add.reduceat(deviation, starts) / n
            deviation *= deviation
            variance = np.add.reduceat(deviation, starts) / n - rest * rest
            columns[:, filled] = lowest, highest, mean + rest, np.sqrt(np.maximum(variance, 0.0))

    @property
    def width(self) -> Floats:
        """Highest minus lowest value; infinite after overflow."""
        with np.errstate(over="ignore"):
            return self.highest - self.lowest

    @property
    def constant(self) -> Flags:
        """True for sensors whose values are all equal, up to rounding."""
        largest = np.maximum(np.abs(self.lowest), np.abs(self.highest))
        return np.asarray(self.width <= CONSTANT_TOLERANCE * largest)

    def reasons(self) -> list[str | None]:
        """Return why a sensor can't have a model, None if it can, for each sensor."""
        reasons: list[str | None] = [None] * len(self.size)
        usable = np.isfinite(self.width) & np.isfinite(self.mean) & np.isfinite(self.scale)
        lost = ~self.constant & (self.scale * self.scale < np.finfo(np.float64).tiny)
        for i in np.flatnonzero((self.size < 2) | ~usable | lost):
            if self.size[i] < 2:
                reasons[i] = f"a model needs at least 2 finite values, got {self.size[i]}"
            else:
                reasons[i] = (
                    f"values from {self.lowest[i]:g} to {self.highest[i]:g}: their spread can't be computed in double "
                    "precision; bring the sensor to another unit"
                )
        return reasons
