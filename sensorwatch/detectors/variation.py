"""Variation from window to window that is higher or lower than normal.

The logarithm of the mean squared change over the last 12 steps is compared with its median in training. The raw score
is the distance from it, in units of the median distance on the same side in training. Noise, hunting and loose contacts
make a sensor vary more; damping, clogging and sticking make it vary less. Because logarithms grow slowly, the raw score
of a mean square above the largest one in training is at least their ratio. The level of the values does not matter.

Source: the chart of dispersion (S chart) of W. A. Shewhart, Economic control of quality of manufactured product, 1931,
on successive differences (J. von Neumann et al., The mean square successive difference, Annals of Mathematical
Statistics 12, 1941), with robust limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.lagged import Lagged

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Variation"]

_CHANGES = 12
_MIN_SHARE = 1e-3
"""Share of the median mean square in training that is added to each, so that no logarithm is infinite."""

_MIN_SQUARE = 1e-12
_MIN_UNIT = 0.05
"""For a sensor whose changes in training are all equal, whose median distance is 0."""


class Variation(Lagged):
    """The detector ``variation``."""

    name = "variation"
    size = _CHANGES + 1
    fields = tuple(pa.field(name, pa.float64()) for name in ("least", "usual", "above", "below", "largest"))

    def _fit_patterns(self, found: Floats) -> dict[str, Any]:
        squares = _mean_squares(found)
        least = max(_MIN_SHARE * float(np.median(squares)), _MIN_SQUARE)
        logarithms = np.log(squares + least)
        usual = float(np.median(logarithms))
        above, below = logarithms[logarithms > usual] - usual, usual - logarithms[logarithms < usual]
        units = [max(float(np.median(side)), _MIN_UNIT) if len(side) else _MIN_UNIT for side in (above, below)]
        largest = float(squares.max()) + least
        return {"least": least, "usual": usual, "above": units[0], "below": units[1], "largest": largest}

    def _measure(self, row: Mapping[str, Any], found: Floats) -> Floats:
        squares = _mean_squares(found) + row["least"]
        distance = np.log(squares) - row["usual"]
        sides = np.where(distance > 0, distance / row["above"], -distance / row["below"])
        measured: Floats = np.maximum(sides, squares / row["largest"])
        return measured


def _mean_squares(found: Floats) -> Floats:
    changes = np.diff(found, axis=1)
    squares: Floats = np.einsum("ij,ij->i", changes, changes) / changes.shape[1]
    return squares
