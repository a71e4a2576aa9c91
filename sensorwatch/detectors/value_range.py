"""The training range: whatever lies outside the lowest and the highest training value is anomalous.

The raw score is ``((x - mid)² - half²) / sd²`` with the middle and half the width of the training range and its
standard deviation: 0 at both ends, negative between them. It orders values as the original system's one-class SVM does
wherever that has its closed form (:mod:`~sensorwatch.detectors.svm.one_class_svm`), and does not level off far outside.

Source: the closed form of B. Schölkopf et al., Estimating the support of a high-dimensional distribution, Neural
Computation 13 (2001), for a wide kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import Detector, Expected, Fitted
from sensorwatch.detectors.svm.kernel_decision import CONSTANT, TIE
from sensorwatch.detectors.windowing.summary import Summary

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]

__all__ = ["ValueRange"]

_COLUMNS = ("low", "high", "scale")

_LEAST_SCALE = 1e-150
"""Its square is still a number."""


class ValueRange(Detector):
    """The detector ``range``."""

    name = "range"
    threshold = TIE
    has_bands = True

    def fit(self, series: Series) -> Fitted:
        """Take the training range; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        summary = Summary.of(series.finite())
        reasons = summary.reasons()
        sound = np.array([reason is None for reason in reasons], np.bool_)
        columns = [
            pa.array(np.where(sound, column, 0.0)) for column in (summary.lowest, summary.highest, summary.scale)
        ]
        params = pa.StructArray.from_arrays(columns, list(_COLUMNS), mask=pa.array(~sound))
        return Fitted(params, tuple(reasons))

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return how far outside the range values lie; see :meth:`~sensorwatch.detectors.base.Detector.score`."""
        middle, half, scale = _shape(params)
        with np.errstate(over="ignore", invalid="ignore"):
            distance = series.values - np.repeat(middle, series.lengths)
            distance /= np.repeat(scale, series.lengths)
            distance *= distance
            half /= scale
            half *= half
            distance -= np.repeat(half, series.lengths)
        return distance

    def expected(self, params: pa.StructArray, series: Series, threshold: Floats) -> Expected:
        """Return bands, without expected values; see :meth:`~sensorwatch.detectors.base.Detector.expected`."""
        middle, half, scale = _shape(params)
        reach = scale * np.sqrt(np.maximum((half / scale) ** 2 + threshold, 0.0))
        missing = np.isnan(series.values)
        low, high = (
            np.where(missing, np.nan, np.repeat(column, series.lengths)) for column in (middle - reach, middle + reach)
        )
        return Expected(np.full(len(missing), np.nan), low, high)

    def expected_range(self, params: pa.StructArray) -> tuple[Floats, Floats]:
        """Return the training range; see :meth:`~sensorwatch.detectors.base.Detector.expected_range`."""
        low, high, _ = _columns(params)
        return low, high


def _columns(params: pa.StructArray) -> tuple[Floats, Floats, Floats]:
    missing = params.is_null().to_numpy(zero_copy_only=False)
    columns = (params.field(name).to_numpy(zero_copy_only=False) for name in _COLUMNS)
    low, high, scale = (np.where(missing, np.nan, column) for column in columns)
    return low, high, scale


def _shape(params: pa.StructArray) -> tuple[Floats, Floats, Floats]:
    """Return the middle, half the width and the unit of distance; rounding alone never counts as a distance."""
    low, high, scale = _columns(params)
    rounding = np.maximum(CONSTANT * np.maximum(np.abs(low), np.abs(high)), _LEAST_SCALE)
    middle = low / 2 + high / 2
    half = np.maximum(np.maximum(high - middle, middle - low), rounding)
    return middle, half, np.maximum(scale, rounding)
