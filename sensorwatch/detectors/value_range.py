"""Training range: a value outside the lowest and the highest training value is anomalous.

The raw score is ``((x - mid)² - half²) / sd²``, where ``mid`` is the middle of the training range, ``half`` is half its
width and ``sd`` is the standard deviation of the training values. It is 0 at both ends and negative between them. It
orders values like the original system's one-class SVM where that has its closed form
(:mod:`~sensorwatch.detectors.svm.one_class_svm`), but does not level off far outside the range.

Source: the closed form of B. Schölkopf et al., Estimating the support of a high-dimensional distribution, Neural
Computation 13 (2001), for a wide kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import Detector, Expected, Fitted
from sensorwatch.detectors.svm.kernel_decision import TIE
from sensorwatch.detectors.windowing.summary import CONSTANT_TOLERANCE, MIN_SCALE, Summary

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]

__all__ = ["ValueRange"]

_COLUMNS = ("low", "high", "scale")


class ValueRange(Detector):
    """The detector ``range``."""

    name = "range"
    threshold = TIE
    has_bands = True

    def fit(self, series: Series) -> Fitted:
        """Determine the training range; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        summary = Summary.of(series.finite())
        reasons = summary.reasons()
        sound = np.array([reason is None for reason in reasons], np.bool_)
        columns = [
            pa.array(np.where(sound, column, 0.0)) for column in (summary.lowest, summary.highest, summary.scale)
        ]
        params = pa.StructArray.from_arrays(columns, list(_COLUMNS), mask=pa.array(~sound))
        return Fitted(params, tuple(reasons))

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return how far values are outside the range; see :meth:`~sensorwatch.detectors.base.Detector.score`."""
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
    """Return middle, half the width and unit of distance, the latter two large enough to ignore rounding."""
    low, high, scale = _columns(params)
    rounding = np.maximum(CONSTANT_TOLERANCE * np.maximum(np.abs(low), np.abs(high)), MIN_SCALE)
    middle = low / 2 + high / 2
    half = np.maximum(np.maximum(high - middle, middle - low), rounding)
    return middle, half, np.maximum(scale, rounding)
