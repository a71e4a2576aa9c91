"""Mahalanobis distance of a pattern of 16 windows, whose values may each be normal while their combination is not.

The raw score is the distance of the last 16 scaled values from their training mean under the training covariance, to
whose diagonal 1 % of its mean is added. In other words, it is the length of the pattern along the principal axes, each
in units of its own spread. So the axes along which a sensor hardly varies count most.

Source: M.-L. Shyu et al., A novel anomaly detection scheme based on principal component classifier, 2003.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.lagged import Lagged

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["PcaMahalanobis"]

_RIDGE = 0.01
_MIN_VARIANCE = 1e-6
"""In units of scaled values, for a constant sensor, whose variance is 0."""


class PcaMahalanobis(Lagged):
    """The detector ``pca_maha``."""

    name = "pca_maha"
    size = 16
    skips_isolated = True
    has_bands = True
    fields = (pa.field("mean", pa.list_(pa.float64())), pa.field("whitening", pa.list_(pa.float64())))

    def _fit_patterns(self, found: Floats) -> dict[str, Any]:
        mean = found.mean(axis=0)
        centred = found - mean
        covariance = centred.T @ centred / len(centred)
        ridge = max(_RIDGE * float(np.trace(covariance)) / self.size, _MIN_VARIANCE)
        covariance[np.diag_indices(self.size)] += ridge
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        return {"mean": mean, "whitening": whitening.ravel()}

    def _measure(self, row: Mapping[str, Any], found: Floats) -> Floats:
        whitened = self._whitened(row, found)
        distance: Floats = np.sqrt(np.einsum("ij,ij->i", whitened, whitened))
        return distance

    def _expect(self, row: Mapping[str, Any], found: Floats, limit: Floats) -> tuple[Floats, Floats]:
        # The whitening is triangular: the last component alone depends on the last value. Where the other components
        # are farther off than the limit, no value is normal: the band has no width.
        whitened = self._whitened(row, found)
        unit = 1.0 / row["whitening"][-1]
        left = np.maximum(limit * limit - np.einsum("ij,ij->i", whitened[:, :-1], whitened[:, :-1]), 0.0)
        return found[:, -1] - whitened[:, -1] * unit, np.sqrt(left) * unit

    def _whitened(self, row: Mapping[str, Any], found: Floats) -> Floats:
        whitening = row["whitening"].reshape(self.size, self.size)
        whitened: Floats = (found - row["mean"]) @ whitening.T
        return whitened
