"""Robust estimates of location and spread, which a few outliers do not affect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.windowing.summary import CONSTANT_TOLERANCE, MIN_SCALE

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["center_and_scale", "spread"]

_NORMAL_QUARTILES = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""


def spread(values: Floats) -> float:
    """Return the interquartile range, scaled to a standard deviation; if it is 0, the standard deviation."""
    low, high = np.percentile(values, (25, 75))
    return float(high - low) / _NORMAL_QUARTILES or float(values.std())


def center_and_scale(values: Floats) -> tuple[float, float]:
    """Return median and spread of finite values; the spread is larger than rounding errors, also for equal values.

    Examples
    --------
    >>> center_and_scale(np.array([1.0, 2.0, 3.0, 4.0, 1000.0]))
    (3.0, 1.4825796886582654)
    """
    center = float(np.median(values))
    rounding = CONSTANT_TOLERANCE * float(np.abs(values).max())
    return center, max(spread(values), rounding, MIN_SCALE)
