"""Expected values and bands of an ensemble: the weighted means of those of its members.

For each window, the members with an expected value count, with their weights in the ensemble. The expected value is the
mean of theirs. The band extends from the mean of their lower ends to the mean of their upper ends, each at the member's
own threshold, which one normal window in a thousand exceeds. Members with a band but without an expected value count
only for windows where no member has an expected value.

So the expected value always lies within the band. A value within the band may still be anomalous, because of the
windows before or of how much the sensor varies. A value outside may be normal, where other members outvote those with a
band.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.base import Expected

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]

__all__ = ["mean_expected"]


def mean_expected(expected: Mapping[str, Expected], weights: Mapping[str, Floats], series: Series) -> Expected:
    """Return the weighted mean of the members' expected values and bands; NaN where no member has any.

    Parameters
    ----------
    expected
        Expected values and bands by member.
    weights
        Weights by member, shape ``(n_sensors,)``; NaN where it is not a member.
    series
        Windows.
    """
    with_value, band_only = _Mean(len(series.values)), _Mean(len(series.values))
    for name, each in expected.items():
        weight = np.repeat(np.nan_to_num(weights[name]), series.lengths)
        bounded = np.isfinite(each.low) & np.isfinite(each.high)
        known = bounded & np.isfinite(each.value)
        with_value.add(each, np.where(known, weight, 0.0))
        band_only.add(each, np.where(bounded & ~known, weight, 0.0))
    value, low, high = with_value.columns()
    _, other_low, other_high = band_only.columns()
    alone = np.isnan(value)
    return Expected(value, np.where(alone, other_low, low), np.where(alone, other_high, high))


class _Mean:
    def __init__(self, n_values: int) -> None:
        self._sums = np.zeros((3, n_values))
        self._weight = np.zeros(n_values)

    def add(self, expected: Expected, weight: Floats) -> None:
        counts = weight > 0
        for total, column in zip(self._sums, (expected.value, expected.low, expected.high), strict=True):
            total += np.where(counts, column, 0.0) * weight
        self._weight += weight

    def columns(self) -> Floats:
        known = self._weight > 0
        return np.where(known, self._sums / np.where(known, self._weight, 1.0), np.nan)
