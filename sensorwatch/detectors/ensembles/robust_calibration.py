"""Calibrations of training windows that may have a fault among them.

A tail that is fitted to a fault takes the next one for normal. So the newest and the older windows are calibrated by
themselves, too. Where the threshold by all windows lies more than four times as far above the median as that by the
quieter part, and fewer than one window in twenty exceeds the latter, the quieter part counts alone: few windows that
are far off are a fault, many are a sensor that drifts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.calibration import Calibration, calibrate

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["clean_tails"]

_TIMES_AS_FAR = 4.0
_MOST_BEYOND = 0.05
_LEAST_WINDOWS = 200
"""What fewer say of a tail is too little."""


def clean_tails(raw: Floats, series: Series, newest: Flags) -> Calibration:
    """Return the calibration of each sensor.

    Parameters
    ----------
    raw
        Raw scores of training windows, shape ``(n_values,)``; NaN is passed over.
    series
        The windows.
    newest
        Which of them are the newest part of each sensor's, shape ``(n_values,)``.
    """
    tails = calibrate(raw, series.offsets, None)
    reach = (tails.threshold - tails.center) / _TIMES_AS_FAR
    for part in (newest, ~newest):
        own = series.kept(part)
        quiet = calibrate(raw[part], own.offsets, None)
        beyond = series.count(raw > np.repeat(quiet.threshold, series.lengths))
        nearer = quiet.threshold - tails.center
        counts = (nearer < reach) & (beyond < _MOST_BEYOND * series.lengths) & (own.lengths >= _LEAST_WINDOWS)
        tails = tails.replaced(np.flatnonzero(counts), quiet.only(counts))
        reach[counts] = nearer[counts]
    return tails
