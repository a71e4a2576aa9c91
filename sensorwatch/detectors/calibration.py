"""Calibration: from raw scores to a tail probability, a score of 0-100, a decision and a severity, for every detector.

Raw scores can't be compared between sensors. Calibration measures how rare a raw score is among those of the sensor's
own training windows. The **rarity** of a raw score is ``-log10 p``, where ``p`` is the probability that a normal window
scores at least as high:

- It is 0 up to the ``center``, the median raw score in training.
- It rises linearly up to the ``level``, which ``tail_share`` (about 2 %) of the training scores exceed.
- Above the level it follows a peaks-over-threshold tail: a generalised Pareto distribution with this ``scale`` and
  ``shape``, fitted to the excesses by probability-weighted moments, with the shape limited to 0 to 0.5.

A rarity above 3, one window in a thousand, is anomalous. A detector with a boundary of its own
(:attr:`~sensorwatch.detectors.base.Detector.threshold`) decides itself: anomalous windows have a rarity of at least 3,
normal windows a rarity below 3.

The score is the rarity on a scale of 0-100, and **a score of 50 or more is anomalous, below 50 is normal**:

======== ================= =============== ==========
Rarity   One window in     Score           Severity
======== ================= =============== ==========
below 3  less than 1,000   0 to below 50   normal
from 3   1,000             50              low
from 4   10,000            65              medium
from 5   100,000           80              high
from 7   10,000,000        95              critical
10       10,000,000,000    100
======== ================= =============== ==========

In between, the score rises linearly; it does not distinguish rarities above 10. If the training scores have no tail at
all (one or two distinct values), the tail has no width: every score that did not occur in training is ``critical``.

Source: J. Hosking, J. Wallis, Parameter and quantile estimation for the generalized Pareto distribution, Technometrics
29 (1987); A. Siffer et al., Anomaly detection in streams with extreme value theory, KDD 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorwatch.config.alerts import SEVERITIES
from sensorwatch.detectors.windowing.series import VALUES_AT_ONCE

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = [
    "ANOMALOUS_RARITY",
    "MAX_RARITY",
    "SCORE_SEVERITIES",
    "Calibration",
    "calibrate",
    "scores_of_rarity",
    "severity_codes",
    "severity_of",
]

SCORE_SEVERITIES = ("normal", *SEVERITIES)
"""Severities of scores: ``normal`` below the threshold of an anomaly, then those of alerts."""

ANOMALOUS_RARITY = 3.0
MAX_RARITY = 10.0

_RARITY_KNOTS = (0.0, ANOMALOUS_RARITY, 4.0, 5.0, 7.0, MAX_RARITY)
_SCORE_KNOTS = (0.0, 50.0, 65.0, 80.0, 95.0, 100.0)
_SEVERITY_FROM = _SCORE_KNOTS[1:5]
_NORMAL_RARITY = float(np.nextafter(ANOMALOUS_RARITY, 0.0))
_BELOW_ANOMALOUS = float(np.nextafter(_SCORE_KNOTS[1], 0.0))

_TAIL = 0.02
_MIN_EXCESSES = 10
"""Fewer excesses say little about the tail: of a short history, more than 2 % count as tail."""

_MAX_SHAPE = 0.5
_FLAT_SHAPE = 1e-9
"""Up to rounding, a tail with a smaller shape is exponential."""

_MIN_SCALE = 1e-9
"""Raw scores may differ by this much because of rounding."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of many sensors; every array has shape ``(n_sensors,)``, NaN where there is no model.

    Attributes
    ----------
    center
        Median raw score in training.
    level
        Raw score above which the tail begins.
    tail_share
        Share (0-1) of the training scores that exceed ``level``.
    scale, shape
        Generalised Pareto tail above the level.
    threshold
        Highest raw score that is normal.
    """

    center: Floats
    level: Floats
    tail_share: Floats
    scale: Floats
    shape: Floats
    threshold: Floats

    columns: ClassVar[tuple[str, ...]] = ("center", "level", "tail_share", "scale", "shape", "threshold")
    """Names of the arrays in a model table, in their order."""

    @classmethod
    def of(cls, models: pa.Table) -> Calibration:
        """Return the calibration in a model table (:mod:`sensorwatch.models.table`), one row per model."""
        return cls(*(np.asarray(models[name].to_numpy(), dtype=np.float64) for name in cls.columns))

    @classmethod
    def unfitted(cls, threshold: float) -> Calibration:
        """Return the calibration of one sensor without training scores: the tail has a scale of 1.

        Examples
        --------
        >>> float(Calibration.unfitted(0.0).scores(np.zeros(1, dtype=np.int64), np.array([2.302585]))[0].round(3))
        65.0
        """
        given = (threshold - 1.0, threshold, 10.0**-ANOMALOUS_RARITY, 1.0, 0.0, threshold)
        return cls(*(np.array([value]) for value in given))

    @classmethod
    def of_rarities(cls, n_sensors: int) -> Calibration:
        """Return the calibration of raw scores that are already rarities.

        Examples
        --------
        >>> raw = np.array([0.5, 3.0, 7.0])
        >>> Calibration.of_rarities(1).rarity(np.zeros(3, dtype=np.int64), raw).round(9).tolist()
        [0.5, 3.0, 7.0]
        """
        given = (0.0, ANOMALOUS_RARITY, 10.0**-ANOMALOUS_RARITY, 1.0 / np.log(10.0), 0.0, ANOMALOUS_RARITY)
        return cls(*(np.full(n_sensors, value) for value in given))

    @property
    def arrays(self) -> tuple[Floats, ...]:
        """The arrays, in the order of ``columns``."""
        return tuple(getattr(self, name) for name in self.columns)

    def only(self, sensors: npt.NDArray[np.bool_] | Integers) -> Calibration:
        """Return the calibration of some sensors."""
        return Calibration(*(each[sensors] for each in self.arrays))

    def replaced(self, sensors: Integers, others: Calibration) -> Calibration:
        """Return the calibration with that of some sensors replaced.

        Parameters
        ----------
        sensors
            Positions of the sensors, shape ``(n,)``.
        others
            Their new calibration, arrays of shape ``(n,)``.
        """
        arrays = [each.copy() for each in self.arrays]
        for each, other in zip(arrays, others.arrays, strict=True):
            each[sensors] = other
        return Calibration(*arrays)

    def anomalous(self, sensor: Integers, raw: Floats) -> npt.NDArray[np.bool_]:
        """Return whether each raw score is anomalous, shape ``(n,)``; False for NaN.

        Parameters
        ----------
        sensor
            Position in this calibration of each raw score's sensor, shape ``(n,)``.
        raw
            Raw scores, shape ``(n,)``.
        """
        return np.asarray(raw > self.threshold[sensor])

    def rarity(self, sensor: Integers, raw: Floats) -> Floats:
        """Return the rarities of raw scores, 0 to 10: ``-log10`` of their tail probabilities.

        Parameters
        ----------
        sensor
            Position in this calibration of each raw score's sensor, shape ``(n,)``.
        raw
            Raw scores, shape ``(n,)``.

        Returns
        -------
        numpy.ndarray
            Shape ``(n,)``; NaN where the raw score is NaN or the sensor has no calibration.

        Examples
        --------
        >>> parts = (0.0, 2.0, 0.01, 1.0, 0.0, 4.302585093)
        >>> calibration = Calibration(*(np.array([part]) for part in parts))
        >>> calibration.rarity(np.zeros(4, dtype=np.int64), np.array([-3.0, 1.0, 2.0, 4.3026])).round(3).tolist()
        [0.0, 1.0, 2.0, 3.0]
        """
        center, level, shape = self.center[sensor], self.level[sensor], self.shape[sensor]
        at_level = -np.log10(self.tail_share[sensor])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            body = np.where(raw <= center, 0.0, at_level * ((raw - center) / (level - center)))
            excess = np.maximum(raw - level, 0.0) / self.scale[sensor]
            curved = np.log1p(np.maximum(shape, _FLAT_SHAPE) * excess) / np.maximum(shape, _FLAT_SHAPE)
            tail = at_level + np.where(shape > _FLAT_SHAPE, curved, excess) / np.log(10.0)
            rarity = np.where(raw > level, tail, np.minimum(body, at_level))
        beyond = raw > self.threshold[sensor]
        rarity = np.where(beyond, np.maximum(rarity, ANOMALOUS_RARITY), np.minimum(rarity, _NORMAL_RARITY))
        rarity = np.clip(rarity, 0.0, MAX_RARITY)
        return np.where(np.isnan(raw) | np.isnan(self.threshold[sensor]), np.nan, rarity)

    def scores(self, sensor: Integers, raw: Floats) -> Floats:
        """Return the scores of 0-100, shape ``(n,)``; NaN as :meth:`rarity`, which takes the same arguments."""
        return scores_of_rarity(self.rarity(sensor, raw))


def scores_of_rarity(rarity: Floats) -> Floats:
    """Return the scores of 0-100 of rarities; NaN for NaN.

    Examples
    --------
    >>> scores_of_rarity(np.array([0.0, 1.5, 3.0, 4.0, 6.0, 99.0])).tolist()
    [0.0, 25.0, 50.0, 65.0, 87.5, 100.0]
    """
    scores = np.interp(rarity, _RARITY_KNOTS, _SCORE_KNOTS)
    return np.where(rarity < ANOMALOUS_RARITY, np.minimum(scores, _BELOW_ANOMALOUS), scores)


def severity_codes(scores: Floats) -> npt.NDArray[np.int8]:
    """Return the position in :data:`SCORE_SEVERITIES` of each score's severity; ``normal`` for NaN.

    Examples
    --------
    >>> [SCORE_SEVERITIES[code] for code in severity_codes(np.array([49.9, 50.0, 79.0, 80.0, 100.0]))]
    ['normal', 'low', 'medium', 'high', 'critical']
    """
    return np.searchsorted(_SEVERITY_FROM, np.nan_to_num(scores), side="right").astype(np.int8)


def severity_of(score: float) -> str:
    """Return the severity of one score.

    Examples
    --------
    >>> severity_of(49.9), severity_of(80.0)
    ('normal', 'high')
    """
    return SCORE_SEVERITIES[int(severity_codes(np.array([score]))[0])]


def calibrate(raw: Floats, offsets: Integers, threshold: float | None) -> Calibration:
    """Return the calibration on training scores.

    Parameters
    ----------
    raw
        Raw scores of the training windows, one sensor after the other, shape ``(n_values,)``; NaN is skipped.
    offsets
        Where each sensor's scores begin, shape ``(n_sensors + 1,)``.
    threshold
        Highest normal raw score of a detector with a boundary of its own; None: the raw score that one window in a
        thousand exceeds.

    Examples
    --------
    >>> found = calibrate(np.arange(1000.0), np.array([0, 1000]), None)
    >>> float(found.center[0]), float(found.level[0]), bool(found.anomalous(np.array([0]), np.array([1200.0]))[0])
    (499.5, 979.0, True)
    """
    columns = np.full((5, len(offsets) - 1), np.nan)
    numbers = ~np.isnan(raw)
    if not numbers.all():
        offsets = np.concatenate(([0], np.cumsum(numbers)))[offsets]
        raw = raw[numbers]
    filled = np.flatnonzero(np.diff(offsets))
    starts, lengths = offsets[filled], np.diff(offsets)[filled]
    # Sensors whose numbers of scores differ by less than a factor of two share a matrix, which is sorted row by row.
    magnitude = np.frexp(lengths)[1]
    for wanted in np.unique(magnitude):
        similar = np.flatnonzero(magnitude == wanted)
        columns[:, filled[similar]] = _tails(raw, starts[similar], lengths[similar])
    center, level, tail_share, scale, shape = columns
    if threshold is None:
        thresholds = _raw_at(ANOMALOUS_RARITY, level, tail_share, scale, shape)
    else:
        thresholds = np.where(np.isnan(center), np.nan, threshold)
        center = np.minimum(center, thresholds)
    return Calibration(center, level, tail_share, scale, shape, thresholds)


def _raw_at(rarity: float, level: Floats, tail_share: Floats, scale: Floats, shape: Floats) -> Floats:
    """Return the raw score of a rarity in the tail; ``level`` where the rarity is reached before the tail begins."""
    ratio = np.maximum(tail_share / 10.0**-rarity, 1.0)
    curved = np.maximum(shape, _FLAT_SHAPE)
    excess = np.where(shape > _FLAT_SHAPE, (ratio**curved - 1.0) / curved, np.log(ratio))
    return np.asarray(level + scale * excess)


def _tails(raw: Floats, starts: Integers, lengths: Integers) -> Floats:
    """Return center, level, tail share, scale and shape, shape ``(5, n)``, of ``n`` sensors' raw scores."""
    wanted = np.minimum(np.maximum(np.ceil(_TAIL * lengths).astype(np.int64), _MIN_EXCESSES), (lengths - 1) // 2)
    center, level = np.empty(len(starts)), np.empty(len(starts))
    rank = np.arange(max(int(wanted.max()), 1))
    beyond = np.empty((len(starts), len(rank)))
    first_beyond = lengths[:, None] - np.maximum(wanted, 1)[:, None]
    position = first_beyond + np.minimum(rank, np.maximum(wanted - 1, 0)[:, None])
    step = max(1, VALUES_AT_ONCE // int(lengths.max()))
    for first in range(0, len(starts), step):
        rows = slice(first, first + step)
        n = lengths[rows]
        ordered = _ordered(raw, starts[rows], n)
        every = np.arange(len(n))
        center[rows] = (ordered[every, (n - 1) // 2] + ordered[every, n // 2]) / 2
        level[rows] = ordered[every, n - 1 - wanted[rows]]
        beyond[rows] = ordered[every[:, None], position[rows]]
    with np.errstate(over="ignore", invalid="ignore"):
        excess = beyond - level[:, None]
    counted = (rank < wanted[:, None]) & (excess > 0)
    scale, shape = _pareto(np.where(counted, excess, 0.0), counted)
    tail_share = np.maximum(counted.sum(axis=1), 1) / (lengths + 1)
    return np.stack((center, level, tail_share, np.maximum(scale, _MIN_SCALE), shape))


def _ordered(raw: Floats, starts: Integers, lengths: Integers) -> Floats:
    """Return the raw scores of sensors in ascending order, one row each; shorter rows end with infinities.

    Sorting is as fast as selecting median and tail, because NumPy does both with vector instructions.
    """
    longest = int(lengths.max())
    if (lengths == longest).all() and (np.diff(starts) == longest).all():
        ordered = raw[starts[0] : starts[-1] + longest].reshape(-1, longest).copy()
    else:
        place = np.arange(longest)
        ordered = raw[np.minimum(starts[:, None] + place, len(raw) - 1)]
        ordered[place >= lengths[:, None]] = np.inf
    ordered.sort(axis=1)
    return ordered


def _pareto(excess: Floats, counted: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return scale and shape of rows of ascending excesses, by probability-weighted moments."""
    number = np.maximum(counted.sum(axis=1), 1)
    rank = np.cumsum(counted, axis=1)
    mean = excess.sum(axis=1) / number
    above = 1.0 - (rank - 0.35) / number[:, None]
    weighted = np.where(counted, above * excess, 0.0).sum(axis=1) / number
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = np.clip(np.nan_to_num(2.0 - mean / (mean - 2.0 * weighted)), 0.0, _MAX_SHAPE)
    # If the shape was clipped, this scale still gives the same mean excess.
    return mean * (1.0 - shape), shape
