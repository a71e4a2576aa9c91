"""Raw scores become a score of 0-100, a decision and a severity.

A detector's raw scores mean nothing across sensors. Here they are measured against what the sensor's own training data
scored, with three numbers per sensor:

``threshold``
    The highest raw score that is still normal; the detector's own.
``center``
    The median raw score in training, or the threshold if the median is above it.
``spread``
    The unit of distance: root mean square of how far the normal training scores lie below the threshold.

A raw score at or below ``center`` is 0; from there the score rises in a straight line up to, not including, 50 at the
threshold. Beyond it, at a distance of ``u`` spreads, it is ``100 - 50 exp(-u)``. So **a score of 50 or more is
anomalous, below 50 is normal**, and a higher raw score never has a lower score.

Severities: ``low`` from 50, ``medium`` from 65 (u > 0.36), ``high`` from 80 (u > 0.92), ``critical`` from 95 (u > 2.3);
``normal`` below 50. A sensor whose training scores all lie at the threshold (one or two distinct values) has shown no
spread at all: whatever it has not shown before is ``critical``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["SEVERITIES", "Calibration", "calibrate", "severity_codes"]

SEVERITIES = ("normal", "low", "medium", "high", "critical")
"""From the mildest to the worst."""

_ANOMALOUS = 50.0
_SEVERITY_FROM = (_ANOMALOUS, 65.0, 80.0, 95.0)
_BELOW_ANOMALOUS = float(np.nextafter(_ANOMALOUS, 0.0))
_LEAST_SPREAD = 1e-9
"""Raw scores differ by this much through rounding alone."""

_VALUES_AT_ONCE = 1 << 16
"""Values that are worked on at once: the working arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How raw scores of many sensors are read; every array has shape ``(n_sensors,)``, NaN where there is no model."""

    center: Floats
    spread: Floats
    threshold: Floats

    def anomalous(self, sensor: Integers, raw: Floats) -> npt.NDArray[np.bool_]:
        """Return whether each raw score, of the sensor at that position, is anomalous; False for NaN."""
        return np.asarray(raw > self.threshold[sensor])

    def scores(self, sensor: Integers, raw: Floats) -> Floats:
        """Return the scores.

        Parameters
        ----------
        sensor
            Position of the sensor in this calibration for each raw score, shape ``(n,)``.
        raw
            Raw scores, shape ``(n,)``.

        Returns
        -------
        numpy.ndarray
            0-100, shape ``(n,)``; NaN where the raw score is NaN or the sensor has no calibration.

        Examples
        --------
        >>> calibration = Calibration(np.array([-2.0]), np.array([1.0]), np.array([0.0]))
        >>> calibration.scores(np.zeros(4, dtype=np.int64), np.array([-3.0, -1.0, 0.5, 9.0])).round().tolist()
        [0.0, 25.0, 70.0, 100.0]
        """
        center, spread, threshold = self.center[sensor], self.spread[sensor], self.threshold[sensor]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            below = np.where(raw <= center, 0.0, _ANOMALOUS * ((raw - center) / (threshold - center)))
        below = np.clip(below, 0.0, _BELOW_ANOMALOUS)
        beyond = np.maximum(raw - threshold, 0.0) / spread
        above = 100.0 - (100.0 - _ANOMALOUS) * np.exp(-beyond)
        scores = np.where(raw > threshold, above, below)
        return np.where(np.isnan(raw) | np.isnan(threshold), np.nan, scores)


def calibrate(raw: Floats, offsets: Integers, threshold: float) -> Calibration:
    """Return the calibration that training scores give.

    Parameters
    ----------
    raw
        Raw scores of the training windows, one sensor behind the other, shape ``(n_values,)``; NaN is passed over.
    offsets
        Where each sensor's begin, shape ``(n_sensors + 1,)``.
    threshold
        The highest raw score that is still normal.
    """
    n_sensors = len(offsets) - 1
    center, spread, thresholds = (np.full(n_sensors, np.nan) for _ in range(3))
    first = 0
    while first < n_sensors:
        last = int(np.searchsorted(offsets, offsets[first] + _VALUES_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        part = slice(first, last)
        center[part], spread[part], thresholds[part] = _calibrate(
            raw[offsets[first] : offsets[last]], offsets[first : last + 1] - offsets[first], threshold
        )
        first = last
    return Calibration(center, spread, thresholds)


def _calibrate(raw: Floats, offsets: Integers, threshold: float) -> tuple[Floats, Floats, Floats]:
    """Return center, spread and threshold of some sensors."""
    center, spread, thresholds = (np.full(len(offsets) - 1, np.nan) for _ in range(3))
    numbers = ~np.isnan(raw)
    if not numbers.all():
        offsets = np.concatenate(([0], np.cumsum(numbers)))[offsets]
        raw = raw[numbers]
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        starts, lengths = offsets[filled], np.diff(offsets)[filled]
        below = np.maximum(threshold - raw, 0.0)
        below *= below
        normal = np.add.reduceat((raw <= threshold).view(np.int8), starts, dtype=np.int64)
        margin = np.sqrt(np.add.reduceat(below, starts) / np.maximum(normal, 1))
        center[filled] = np.minimum(_medians(raw, starts, lengths), threshold)
        spread[filled] = np.maximum(margin, _LEAST_SPREAD)
        thresholds[filled] = threshold
    return center, spread, thresholds


def _medians(values: Floats, starts: Integers, lengths: Integers) -> Floats:
    """Return the median of each stretch of values; none is empty."""
    medians = np.empty(len(starts))
    # Stretches whose lengths differ by less than a factor of two share a rectangle, which is sorted row by row.
    magnitude = np.frexp(lengths)[1]
    for wanted in np.unique(magnitude):
        rows = np.flatnonzero(magnitude == wanted)
        size = lengths[rows]
        place = np.arange(size.max())
        rectangle = values[np.minimum(starts[rows, None] + place, len(values) - 1)]
        rectangle[place >= size[:, None]] = np.inf
        rectangle.sort(axis=1)
        every = np.arange(len(rows))
        medians[rows] = (rectangle[every, (size - 1) // 2] + rectangle[every, size // 2]) / 2
    return medians


def severity_codes(scores: Floats) -> npt.NDArray[np.int8]:
    """Return the position in :data:`SEVERITIES` of each score's severity; ``normal`` for NaN.

    Examples
    --------
    >>> [SEVERITIES[code] for code in severity_codes(np.array([49.9, 50.0, 79.0, 80.0, 100.0]))]
    ['normal', 'low', 'medium', 'high', 'critical']
    """
    return np.searchsorted(_SEVERITY_FROM, np.nan_to_num(scores), side="right").astype(np.int8)
