"""What a sensor's model expects of its windows, for charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.base import Expected, Expecting
from sensorwatch.detectors.factory import detector
from sensorwatch.models.scoring.raw_scores import ModelWindows
from sensorwatch.models.table import detectors_in

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.sensors.windows import WindowColumns

__all__ = ["expected_windows", "expects"]


def expected_windows(model: pa.Table, windows: WindowColumns, policy: EstimatorPolicy | None) -> Expected:
    """Return what a model expects of windows; NaN where it expects nothing.

    It goes on from what it remembers of its training where all windows are after that; else the first of them are
    looked at as if nothing had come before.

    Parameters
    ----------
    model
        The one row of the sensor (:mod:`sensorwatch.models.table`).
    windows
        Windows of the sensor, in the order of time.
    policy
        Which stored estimators may be loaded; None: the configuration's defaults.
    """
    count = len(windows.end)
    limit = np.asarray(model["threshold"].to_numpy(), np.float64)
    found = Expected(
        np.full(count, np.nan),
        *(np.repeat(np.asarray(model[f"expected_{end}"].to_numpy(), np.float64), count) for end in ("low", "high")),
    )
    for name in detectors_in(model):
        own = ModelWindows.of(model, name, np.where(np.isnan(windows.value), -1, 0), windows, policy)
        if isinstance(own.detector, Expecting) and len(own.chosen):
            band = own.detector.expected(own.params, own.series, limit)
            found.value[own.chosen], found.low[own.chosen], found.high[own.chosen] = band.value, band.low, band.high
    return found


def expects(name: str, policy: EstimatorPolicy | None) -> bool:
    """Return whether a detector's models expect something that may differ from window to window.

    Raises
    ------
    InvalidInputError
        This version of the code does not know the detector.
    """
    return isinstance(detector(name, policy=policy), Expecting)
