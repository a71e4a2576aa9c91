"""Calibration on training windows that may include an anomaly.

A tail that is fitted to an anomaly takes the next one for normal. Therefore the newest and the older windows are also
calibrated separately. Where the threshold by all windows is more than four times as far above the median as the
threshold by the quieter part, and fewer than one window in twenty exceeds the latter, the quieter part alone determines
the calibration. A few windows that are far off are an anomaly; many are a sensor that drifts.
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

__all__ = ["robust_calibration"]

_TIMES_AS_FAR = 4.0
_MAX_BEYOND = 0.05
_MIN_WINDOWS = 200
"""Fewer windows say too little about a tail."""


def robust_calibration(raw: Floats, series: Series, newest: Flags) -> Calibration:
    """Return the calibration of each sensor.

    Parameters
    ----------
    raw
        Raw scores of the training windows, shape ``(n_values,)``; NaN is skipped.
    series
        Training windows.
    newest
        Whether a window belongs to the newest part of its sensor's windows, shape ``(n_values,)``.
    """
    calibration = calibrate(raw, series.offsets, None)
    reach = (calibration.threshold - calibration.center) / _TIMES_AS_FAR
    for part in (newest, ~newest):
        own = series.kept(part)
        quiet = calibrate(raw[part], own.offsets, None)
        beyond = series.count(raw > np.repeat(quiet.threshold, series.lengths))
        nearer = quiet.threshold - calibration.center
        replaces = (nearer < reach) & (beyond < _MAX_BEYOND * series.lengths) & (own.lengths >= _MIN_WINDOWS)
        calibration = calibration.replaced(np.flatnonzero(replaces), quiet.only(replaces))
        reach[replaces] = nearer[replaces]
    return calibration
