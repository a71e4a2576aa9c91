"""Raw scores become a tail probability, a score of 0-100, a decision and a severity: the same for every detector.

A detector's raw scores mean nothing across sensors. Here they are read as how rare they are among what the sensor's own
training windows scored. The **rarity** of a raw score is ``-log10 p``, where ``p`` is the probability that a normal
window scores at least as high:

- at the ``center``, the median raw score in training, and below it, 0;
- from there a straight line to the ``level``, which ``tail_share`` (about 2 %) of the training scores exceed;
- beyond the level the peaks over threshold: a generalised Pareto tail of this ``scale`` and ``shape``, fitted to the
  excesses by probability-weighted moments, with the shape kept within 0 and 0.5.

What is rarer than one in a thousand, rarity 3, is anomalous. A detector that draws a boundary of its own
(:attr:`~sensorwatch.detectors.base.Detector.threshold`) decides itself: what it calls anomalous has a rarity of at
least 3, what it calls normal one below.

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

In between the score rises in straight lines; beyond a rarity of 10 nothing is told apart. A sensor whose training
scores show no tail at all (one or two distinct values) has one of no width: whatever it has not shown is ``critical``.

Source: J. Hosking, J. Wallis, Parameter and quantile estimation for the generalized Pareto distribution,
Technometrics 29 (1987); A. Siffer et al., Anomaly detection in streams with extreme value theory, KDD 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorwatch.config.alerts import SEVERITIES

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = [
    "ANOMALOUS_RARITY",
    "HIGHEST_RARITY",
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
HIGHEST_RARITY = 10.0

_RARITY_KNOTS = (0.0, ANOMALOUS_RARITY, 4.0, 5.0, 7.0, HIGHEST_RARITY)
_SCORE_KNOTS = (0.0, 50.0, 65.0, 80.0, 95.0, 100.0)
_SEVERITY_FROM = _SCORE_KNOTS[1:5]
_NORMAL_RARITY = float(np.nextafter(ANOMALOUS_RARITY, 0.0))
_BELOW_ANOMALOUS = float(np.nextafter(_SCORE_KNOTS[1], 0.0))

_TAIL = 0.02
_LEAST_EXCESSES = 10
"""A tail of fewer says little: short histories give more than 2 % of themselves."""

_HIGHEST_SHAPE = 0.5
_FLAT_SHAPE = 1e-9
"""A tail of a smaller shape is exponential, up to rounding."""

_LEAST_SCALE = 1e-9
"""Raw scores differ by this much through rounding alone."""

_VALUES_AT_ONCE = 1 << 16
"""Values that are worked on at once: the working arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How raw scores of many sensors are read; every array has shape ``(n_sensors,)``, NaN where there is no model.

    Attributes
    ----------
    center, level
        Raw scores: the median in training, and where the tail begins.
    tail_share
        Share (0-1) of the training scores that lie beyond ``level``.
    scale, shape
        The generalised Pareto tail beyond it.
    threshold
        The highest raw score that is still normal.
    """

    center: Floats
    level: Floats
    tail_share: Floats
    scale: Floats
    shape: Floats
    threshold: Floats

    columns: ClassVar[tuple[str, ...]] = ("center", "level", "tail_share", "scale", "shape", "threshold")
    """What a shard of models calls the arrays, in their order."""

    @classmethod
    def of(cls, models: pa.Table) -> Calibration:
        """Return the calibration in a shard of models (:mod:`sensorwatch.models.table`), a row per model."""
        return cls(*(np.asarray(models[name].to_numpy(), dtype=np.float64) for name in cls.columns))

    @classmethod
    def unfitted(cls, threshold: float) -> Calibration:
        """Return the calibration of one sensor that has no training scores: one of the detector's own unit.

        Examples
        --------
        >>> float(Calibration.unfitted(0.0).scores(np.zeros(1, dtype=np.int64), np.array([2.302585]))[0].round(3))
        65.0
        """
        given = (threshold - 1.0, threshold, 10.0**-ANOMALOUS_RARITY, 1.0, 0.0, threshold)
        return cls(*(np.array([value]) for value in given))

    @classmethod
    def of_rarities(cls, n_sensors: int) -> Calibration:
        """Return the calibration of raw scores that are rarities already.

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
        """Return it with that of others in the places ``sensors``."""
        arrays = [each.copy() for each in self.arrays]
        for each, other in zip(arrays, others.arrays, strict=True):
            each[sensors] = other
        return Calibration(*arrays)

    def anomalous(self, sensor: Integers, raw: Floats) -> npt.NDArray[np.bool_]:
        """Return whether each raw score, of the sensor at that position, is anomalous; False for NaN."""
        return np.asarray(raw > self.threshold[sensor])

    def rarity(self, sensor: Integers, raw: Floats) -> Floats:
        """Return how rare raw scores are: ``-log10`` of their tail probability, 0 to 10.

        Parameters
        ----------
        sensor
            Position of the sensor in this calibration for each raw score, shape ``(n,)``.
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
        rarity = np.clip(rarity, 0.0, HIGHEST_RARITY)
        return np.where(np.isnan(raw) | np.isnan(self.threshold[sensor]), np.nan, rarity)

    def scores(self, sensor: Integers, raw: Floats) -> Floats:
        """Return the scores, 0-100, as :meth:`rarity` gives the rarities."""
        return scores_of_rarity(self.rarity(sensor, raw))


def scores_of_rarity(rarity: Floats) -> Floats:
    """Return rarities on the scale of 0-100; NaN for NaN.

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
    """Return the calibration that training scores give.

    Parameters
    ----------
    raw
        Raw scores of the training windows, one sensor behind the other, shape ``(n_values,)``; NaN is passed over.
    offsets
        Where each sensor's begin, shape ``(n_sensors + 1,)``.
    threshold
        The highest raw score that is still normal, of a detector that draws a boundary itself; None: the raw score
        that one window in a thousand exceeds.
    """
    columns = np.full((5, len(offsets) - 1), np.nan)
    numbers = ~np.isnan(raw)
    if not numbers.all():
        offsets = np.concatenate(([0], np.cumsum(numbers)))[offsets]
        raw = raw[numbers]
    filled = np.flatnonzero(np.diff(offsets))
    starts, lengths = offsets[filled], np.diff(offsets)[filled]
    # Stretches whose lengths differ by less than a factor of two share a rectangle, which is sorted row by row.
    magnitude = np.frexp(lengths)[1]
    for wanted in np.unique(magnitude):
        alike = np.flatnonzero(magnitude == wanted)
        columns[:, filled[alike]] = _tails(raw, starts[alike], lengths[alike])
    center, level, tail_share, scale, shape = columns
    if threshold is None:
        thresholds = _raw_at(ANOMALOUS_RARITY, level, tail_share, scale, shape)
    else:
        thresholds = np.where(np.isnan(center), np.nan, threshold)
        center = np.minimum(center, thresholds)
    return Calibration(center, level, tail_share, scale, shape, thresholds)


def _raw_at(rarity: float, level: Floats, tail_share: Floats, scale: Floats, shape: Floats) -> Floats:
    """Return the raw score of a rarity in the tail; ``level`` where the tail begins beyond it."""
    ratio = np.maximum(tail_share / 10.0**-rarity, 1.0)
    curved = np.maximum(shape, _FLAT_SHAPE)
    excess = np.where(shape > _FLAT_SHAPE, (ratio**curved - 1.0) / curved, np.log(ratio))
    return np.asarray(level + scale * excess)


def _tails(raw: Floats, starts: Integers, lengths: Integers) -> Floats:
    """Return center, level, tail share, scale and shape of stretches of raw scores, shape ``(5, n_stretches)``."""
    wanted = np.minimum(np.maximum(np.ceil(_TAIL * lengths).astype(np.int64), _LEAST_EXCESSES), (lengths - 1) // 2)
    center, level = np.empty(len(starts)), np.empty(len(starts))
    rank = np.arange(max(int(wanted.max()), 1))
    beyond = np.empty((len(starts), len(rank)))
    first_beyond = lengths[:, None] - np.maximum(wanted, 1)[:, None]
    position = first_beyond + np.minimum(rank, np.maximum(wanted - 1, 0)[:, None])
    step = max(1, _VALUES_AT_ONCE // int(lengths.max()))
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
    return np.stack((center, level, tail_share, np.maximum(scale, _LEAST_SCALE), shape))


def _ordered(raw: Floats, starts: Integers, lengths: Integers) -> Floats:
    """Return stretches of raw scores in ascending order, a row each; shorter ones end with infinities.

    Sorting is as fast as selecting median and tail: NumPy does either with vector instructions.
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
    """Return scale and shape of rows of excesses in ascending order, by probability-weighted moments."""
    number = np.maximum(counted.sum(axis=1), 1)
    rank = np.cumsum(counted, axis=1)
    mean = excess.sum(axis=1) / number
    above = 1.0 - (rank - 0.35) / number[:, None]
    weighted = np.where(counted, above * excess, 0.0).sum(axis=1) / number
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = np.clip(np.nan_to_num(2.0 - mean / (mean - 2.0 * weighted)), 0.0, _HIGHEST_SHAPE)
    # With the shape clipped, the scale is the one that keeps the mean excess.
    return mean * (1.0 - shape), shape
