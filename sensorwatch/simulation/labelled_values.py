"""Simulated readings with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["LabelledValues", "ReadingSpan"]


class ReadingSpan(NamedTuple):
    """Consecutive readings of a sensor.

    Attributes
    ----------
    first
        Number of the first reading.
    seconds
        Times of the readings in seconds since 1970-01-01T00:00:00Z, ascending, shape ``(n_readings,)``, float64.
    names
        Seed and names that determine the random numbers: those of the sensor, and the positions of nested parts.
    """

    first: int
    seconds: Floats
    names: tuple[int, *tuple[str | int, ...]]

    def inside(self, part: int) -> ReadingSpan:
        """Return the same readings with the random numbers of a nested part."""
        return self._replace(names=(*self.names, part))


class LabelledValues(NamedTuple):
    """Values (float64) with a mask of the anomalous ones (bool), both of shape ``(n_values,)``."""

    values: Floats
    anomalous: npt.NDArray[np.bool_]
