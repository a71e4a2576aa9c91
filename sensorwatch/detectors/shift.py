"""Level shift: the mean of the last windows compared with the mean of the windows before them.

The season, if there is one, is subtracted. The last 6 and the last 24 windows are each compared with the 24 windows
before them. The raw score is the larger of the two differences of means, each in units of its spread in training.

Source: moving-window form of E. S. Page, Continuous inspection schemes, Biometrika 41 (1954).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.seasonal import SEASON_FIELDS, Seasonal
from sensorwatch.detectors.windowing.robust import spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Shift"]

_LENGTHS = (6, 24)
_BEFORE = 24
_MIN_SPREAD = 1e-3
"""In units of scaled values, for a constant sensor, whose spread is 0."""


class Shift(Seasonal):
    """The detector ``shift``."""

    name = "shift"
    size = max(_LENGTHS) + _BEFORE
    skips_isolated = True
    fields = (*SEASON_FIELDS, pa.field("spreads", pa.list_(pa.float64())))

    def _fit_patterns(self, found: Floats) -> dict[str, Any]:
        return {"spreads": [max(spread(each), _MIN_SPREAD) for each in _differences(found)]}

    def _measure(self, row: Mapping[str, Any], found: Floats) -> Floats:
        differences = zip(_differences(found), row["spreads"], strict=True)
        moved: Floats = np.maximum.reduce([np.abs(each) / unit for each, unit in differences])
        return moved


def _differences(values: Floats) -> list[Floats]:
    return [
        values[:, -length:].mean(axis=1) - values[:, -length - _BEFORE : -length].mean(axis=1) for length in _LENGTHS
    ]
