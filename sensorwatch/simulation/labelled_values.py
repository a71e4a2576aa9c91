"""Simulated readings with the truth about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["LabelledValues", "ReadingSpan"]


class ReadingSpan(NamedTuple):
    """Successive readings of a sensor.

    Attributes
    ----------
    first
        Number of the first one.
    seconds
        When they are taken, ascending, shape ``(n_readings,)``.
    names
        The seed, then what else random numbers belong to: the sensor, and the piece's place in the signal.
    """

    first: int
    seconds: Floats
    names: tuple[int, *tuple[str | int, ...]]

    def inside(self, part: int) -> ReadingSpan:
        """Return the same readings as a part of a piece sees them."""
        return self._replace(names=(*self.names, part))


class LabelledValues(NamedTuple):
    """Values, and of each whether the chain was in its anomalous state; both of shape ``(n_values,)``."""

    values: Floats
    anomalous: npt.NDArray[np.bool_]
