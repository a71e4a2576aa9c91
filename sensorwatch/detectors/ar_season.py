"""Prediction error of a linear autoregression over 16 windows, after subtracting the season.

The season (:mod:`~sensorwatch.detectors.windowing.seasons`), if there is one, is subtracted. The scaled remainder is
predicted from its last 16 values by a linear function, fitted by least squares with a ridge of 1. For the fit and the
prediction, values are clipped at 8 scales, so that an outlier neither distorts the fit nor makes the next 16 windows
anomalous. The raw score is the distance of the value from its prediction.

Source: A. E. Hoerl and R. W. Kennard, Ridge regression, Technometrics 12 (1970), on an autoregression; the prediction
error as score as in D. J. Hill and B. S. Minsker, Anomaly detection in streaming environmental sensor data, 2010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.seasonal import SEASON_FIELDS, Seasonal

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["ArSeason"]

_LAGS = 16
_RIDGE = 1.0
_CLIP = 8.0


class ArSeason(Seasonal):
    """The detector ``ar_season``."""

    name = "ar_season"
    size = _LAGS + 1
    skips_isolated = True
    has_bands = True
    fields = (*SEASON_FIELDS, pa.field("weights", pa.list_(pa.float64())))

    def _fit_patterns(self, found: Floats) -> dict[str, Any]:
        clipped = np.clip(found, -_CLIP, _CLIP)
        known, wanted = np.column_stack((clipped[:, :-1], np.ones(len(clipped)))), clipped[:, -1]
        squares = known.T @ known
        squares[np.diag_indices(_LAGS + 1)] += _RIDGE
        return {"weights": np.linalg.solve(squares, known.T @ wanted)}

    def _measure(self, row: Mapping[str, Any], found: Floats) -> Floats:
        return np.abs(found[:, -1] - self._predicted(row, found))

    def _predicted(self, row: Mapping[str, Any], found: Floats) -> Floats:
        weights = row["weights"]
        clipped = np.clip(found[:, :-1], -_CLIP, _CLIP)
        predicted: Floats = np.einsum("ij,j->i", clipped, weights[:-1]) + weights[-1]
        return predicted

    def _expect(self, row: Mapping[str, Any], found: Floats, limit: Floats) -> tuple[Floats, Floats]:
        return self._predicted(row, found), limit
