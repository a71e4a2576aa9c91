"""What the season and the last 16 windows do not explain.

The season (:mod:`~sensorwatch.detectors.windowing.seasons`) is taken off where there is one; the rest, scaled, is
predicted from its last 16 values by a linear function, fitted by least squares with a ridge of 1. Values are cut at 8
scales for that, so that one wild value neither bends the fit nor makes sixteen more windows look wrong. The raw score
is the distance of the value from its prediction.

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
_CUT = 8.0


class ArSeason(Seasonal):
    """The detector ``ar_season``."""

    name = "ar_season"
    size = _LAGS + 1
    passes_over_isolated = True
    has_bands = True
    fields = (*SEASON_FIELDS, pa.field("weights", pa.list_(pa.float64())))

    def _fit_patterns(self, found: Floats) -> dict[str, Any]:
        cut = np.clip(found, -_CUT, _CUT)
        known, wanted = np.column_stack((cut[:, :-1], np.ones(len(cut)))), cut[:, -1]
        squares = known.T @ known
        squares[np.diag_indices(_LAGS + 1)] += _RIDGE
        return {"weights": np.linalg.solve(squares, known.T @ wanted)}

    def _measure(self, row: Mapping[str, Any], found: Floats) -> Floats:
        return np.abs(found[:, -1] - self._predicted(row, found))

    def _predicted(self, row: Mapping[str, Any], found: Floats) -> Floats:
        weights = row["weights"]
        cut = np.clip(found[:, :-1], -_CUT, _CUT)
        predicted: Floats = np.einsum("ij,j->i", cut, weights[:-1]) + weights[-1]
        return predicted

    def _expect(self, row: Mapping[str, Any], found: Floats, limit: Floats) -> tuple[Floats, Floats]:
        return self._predicted(row, found), limit
