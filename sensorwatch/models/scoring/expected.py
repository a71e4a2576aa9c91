"""Expected values and bands of a sensor's windows, for charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.detectors.base import Expected
from sensorwatch.detectors.factory import detector
from sensorwatch.models.scoring.raw_scores import ModelWindows
from sensorwatch.models.table import detectors_in

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.sensors.windows import WindowColumns

__all__ = ["expected_windows", "expects"]


def expected_windows(model: pa.Table, windows: WindowColumns, policy: EstimatorPolicy | None) -> Expected:
    """Return the values and bands that a model expects; NaN where it expects none.

    If all windows are after the model's training, the model continues from its state at the end of training. Otherwise
    it treats the first window as if no window preceded it.

    Parameters
    ----------
    model
        Model table with one row, that of the sensor (:mod:`sensorwatch.models.table`).
    windows
        Windows of the sensor, ordered by time.
    policy
        Estimators that may be loaded; None: the configuration's defaults.
    """
    count = len(windows.end)
    limit = np.asarray(model["threshold"].to_numpy(), np.float64)
    found = Expected(
        np.full(count, np.nan),
        *(np.repeat(np.asarray(model[f"expected_{end}"].to_numpy(), np.float64), count) for end in ("low", "high")),
    )
    for name in detectors_in(model):
        own = ModelWindows.of(model, name, np.where(np.isnan(windows.value), -1, 0), windows, policy)
        if len(own.chosen) and (band := own.detector.expected(own.params, own.series, limit)) is not None:
            found.value[own.chosen], found.low[own.chosen], found.high[own.chosen] = band.value, band.low, band.high
    return found


def expects(name: str, policy: EstimatorPolicy | None) -> bool:
    """Return True if the models of a detector can expect a different value or band for each window.

    Raises
    ------
    InvalidInputError
        This version of the code does not know the detector.
    """
    return detector(name, policy=policy).has_bands
