"""What an ensemble expects: the weighted mean of what its members expect.

Of each window those members count that expect a value, with their weights in the ensemble: the expected value is the
mean of theirs, and the band goes from the mean of their lower to that of their upper ends, each at the member's own
threshold, which one normal window in a thousand exceeds. Only where no member expects a value do those count that have
a band alone.

So the value always lies within the band. A window may be anomalous within it, by the course of the windows before or by
how much the sensor varies, and normal outside, where the members with a band are outvoted.
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
    """Return the mean of what members expect, NaN where none expects anything.

    Parameters
    ----------
    expected
        By member.
    weights
        Of each member, shape ``(n_sensors,)``; NaN where it is none.
    series
        The windows.
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
