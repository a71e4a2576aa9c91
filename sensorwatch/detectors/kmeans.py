"""Distance to the nearest of 16 normal patterns of 96 windows.

The normal patterns are the centres that k-means finds among the training patterns. Patterns consist of scaled values
and are not standardised one by one, so a pattern of a normal shape at an abnormal level is anomalous. The raw score is
the root mean square distance of the last 96 values from the nearest centre. It is high as long as an anomaly is among
these values. So the detector finds anomalous episodes, and shows which pattern would have been normal.

At most 2,048 training patterns, evenly spread over the training windows, are used, because neighbouring patterns are
nearly equal.

Source: S. P. Lloyd, Least squares quantization in PCM, 1982, with the seeding of D. Arthur and S. Vassilvitskii,
k-means++, 2007; on subsequences as in Yairi et al., Fault detection by mining association rules from house-keeping
data, 2001.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.detectors.base import NearestPatterns
from sensorwatch.detectors.lagged import Lagged, pasts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]

__all__ = ["KMeans"]

_CENTRES = 16
_MAX_PATTERNS = 2048
_ITERATIONS = 20
_SEED = 0


class KMeans(Lagged):
    """The detector ``kmeans``."""

    name = "kmeans"
    size = 96
    fields = (pa.field("centres", pa.list_(pa.float32())),)

    def _fit_patterns(self, found: Floats) -> dict[str, Any]:
        stride = max(-(-len(found) // _MAX_PATTERNS), min(4, len(found) // (4 * _CENTRES)))
        # Single precision halves the size, and is still far finer than the resolution of any sensor.
        centres = _centres(np.ascontiguousarray(found[:: max(stride, 1)]))
        return {"centres": centres.astype(np.float32).ravel()}

    def _measure(self, row: Mapping[str, Any], found: Floats) -> Floats:
        nearest = self._nearest(row, found)
        nearest -= found
        distance: Floats = np.sqrt(np.einsum("ij,ij->i", nearest, nearest) / self.size)
        return distance

    def nearest_patterns(self, params: pa.StructArray, series: Series) -> NearestPatterns:
        """Return the nearest centres; see :meth:`~sensorwatch.detectors.base.Detector.nearest_patterns`."""
        nearest = np.full((len(series.values), self.size), np.nan)
        for row, place, found in self._found(series, pasts(params, series)):
            nearest[place] = row["center"] + row["scale"] * self._nearest(row, found)
        steps = pc.if_else(params.is_valid(), params.field("step"), 0)
        return NearestPatterns(nearest, np.asarray(steps.to_numpy(zero_copy_only=False), np.int64))

    def _nearest(self, row: Mapping[str, Any], found: Floats) -> Floats:
        """Return the centre nearest to each pattern, shape ``(n_patterns, size)``."""
        centres = row["centres"].astype(np.float64).reshape(-1, self.size)
        closeness = found @ centres.T
        closeness -= np.einsum("ij,ij->i", centres, centres) / 2
        return np.asarray(centres[closeness.argmax(axis=1)])


def _centres(points: Floats) -> Floats:
    """Return the centres that Lloyd's algorithm finds, at most 16, shape ``(n_centres, size)``."""
    centres = _seeds(points)
    nearest = np.full(len(points), -1)
    for _ in range(_ITERATIONS):
        closeness = points @ centres.T
        closeness -= np.einsum("ij,ij->i", centres, centres) / 2
        previous, nearest = nearest, closeness.argmax(axis=1)
        if (nearest == previous).all():
            break
        members = np.zeros((len(centres), len(points)))
        members[nearest, np.arange(len(points))] = 1.0
        counts = members.sum(axis=1)
        used = counts > 0
        centres[used] = (members @ points)[used] / counts[used, None]
    return centres


def _seeds(points: Floats) -> Floats:
    """Return distinct patterns, drawn with probabilities in proportion to their squared distance from earlier ones."""
    random = np.random.default_rng(_SEED)
    squares = np.einsum("ij,ij->i", points, points)
    chosen = [int(random.integers(len(points)))]
    distance = np.full(len(points), np.inf)
    while True:
        centre = points[chosen[-1]]
        distance = np.minimum(distance, np.maximum(squares - 2 * (points @ centre) + centre @ centre, 0.0))
        distance[chosen] = 0.0
        total = distance.sum()
        if len(chosen) == _CENTRES or total <= 0:
            return points[chosen]
        chosen.append(min(int(np.searchsorted(np.cumsum(distance), random.random() * total)), len(points) - 1))
