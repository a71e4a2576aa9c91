"""Upper tail of a sensor's recent rarities, updated with every window.

The mean of several detectors' rarities is not itself a rarity. If the members seldom agree, only one normal window in a
thousand exceeds 2; if they all look back on the same hour, far more than that exceed 3. The mean is therefore
calibrated on the sensor's own windows, by peaks over threshold that are updated continuously (compare
:mod:`sensorwatch.detectors.calibration`): the level that one normal window in twenty exceeds, and the mean excess of
the windows beyond it.

Every window moves the level a little, up or down. A window beyond the level moves the mean excess; at most 2.5 of its
excess count. A factor on the excess, the caution, corrects for tails that are heavier than exponential. Every anomalous
window raises it, and every other window lowers it by so little that both balance where one window in a thousand is
anomalous.

**Frozen during an alarm.** Only the first five windows of an alarm update the tail; after that, none does until 100
windows have followed that are not anomalous. So false alarms become rarer where there are too many of them, while a
long anomaly changes hardly anything. A weak alarm may end because the tail has learned from it.

**Strong windows**, whose rarity relative to training is at least 5 above the current mean, are anomalous regardless of
the tail and do not update it. Healthy sensors hardly have any, and a fault that recurs must not become normal.

**After an anomaly**, detectors that look back still see it for up to 96 windows. Therefore a window is not anomalous if
its height above the current mean is less than four fifths of the greatest recent height, which decays with every
window.

Source: A. Siffer et al., Anomaly detection in streams with extreme value theory, KDD 2017, with an exponential tail.
The level is a quantile by stochastic approximation (H. Robbins and S. Monro, 1951). The caution is the method of I.
Gibbs and E. Candès, Adaptive conformal inference under distribution shift, NeurIPS 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.detectors.calibration import ANOMALOUS_RARITY, MAX_RARITY

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["HOLD_WINDOWS", "RecentTail"]

HOLD_WINDOWS = 100
"""An alarm ends after so many windows that are not anomalous."""

_SHARE = 0.05
_LEARNT_WINDOWS = 5.0
_MAX_EXCESS = 2.5
_LEVEL_STEP = 0.03
_EXCESS_WEIGHT = 1 / 10
_CAUTION_STEP = 0.2
_FIRST_CAUTION = 1.1
"""Where the caution settles on normal noise: a mean excess of so few windows tends to be too small."""

_MIN_CAUTION, _MAX_CAUTION = 0.7, 3.0
_NOMINAL = 10.0**-ANOMALOUS_RARITY

_STRONG = 5.0
_AFTER_SHARE = 0.8
_HEIGHT_DECAY = 0.98
"""Decay of the recent height per window: it halves in about 35."""

_MIN_LEVEL, _MIN_EXCESS = 0.2, 0.05

_PRIOR_LEVEL, _PRIOR_LEVEL_WINDOWS = 0.9, 100
_PRIOR_EXCESS, _PRIOR_EXCESSES = 0.3, 10
"""Level and excess of the mean of independent members, and how many windows of a sensor have the same weight."""


class RecentTail(NamedTuple):
    """Current tail of each sensor; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    level
        Rarity that one normal window in twenty exceeds.
    excess
        Mean excess of these windows over the level.
    caution
        Factor on the excess: above 1 if alarms were more frequent than they should be.
    calm
        Windows since the last anomalous one, at most ``HOLD_WINDOWS``, at which no alarm is active.
    alarm_windows
        Windows since the active alarm began.
    height
        Greatest recent height above the mean; decays with every window.
    """

    level: Floats
    excess: Floats
    caution: Floats
    calm: Floats
    alarm_windows: Floats
    height: Floats

    @classmethod
    def of(cls, rarity: Floats, offsets: Integers) -> RecentTail:
        """Return the tail of windows that no member was fitted on; with few windows, the prior dominates.

        Parameters
        ----------
        rarity
            Rarities, one sensor after the other, shape ``(n_values,)``; NaN is skipped.
        offsets
            Where each sensor's rarities begin, shape ``(n_sensors + 1,)``.
        """
        level = np.full(len(offsets) - 1, _PRIOR_LEVEL)
        excess = np.full(len(offsets) - 1, _PRIOR_EXCESS)
        for i, (first, last) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
            own = rarity[first:last]
            own = own[~np.isnan(own)]
            if not len(own):
                continue
            n = len(own) + _PRIOR_LEVEL_WINDOWS
            level[i] = (np.quantile(own, 1.0 - _SHARE) * len(own) + _PRIOR_LEVEL * _PRIOR_LEVEL_WINDOWS) / n
            beyond = own[own > level[i]] - level[i]
            excess[i] = (beyond.sum() + _PRIOR_EXCESS * _PRIOR_EXCESSES) / (len(beyond) + _PRIOR_EXCESSES)
        return cls.initial(level, excess)

    @classmethod
    def initial(cls, level: Floats, excess: Floats) -> RecentTail:
        """Return the tail before the first window."""
        n = len(level)
        return cls(level, excess, np.full(n, _FIRST_CAUTION), np.full(n, float(HOLD_WINDOWS)), np.zeros(n), np.zeros(n))

    def calibrated(self, rarity: Floats, height: Floats) -> Floats:
        """Return the rarity of one window of each sensor relative to its recent windows, 0 to 10; NaN for NaN.

        Parameters
        ----------
        rarity
            Adapted rarity of the window, shape ``(n_sensors,)``.
        height
            Rarity relative to training less its current mean, shape ``(n_sensors,)``.
        """
        at_level = -np.log10(_SHARE)
        unit = self.caution * self.excess * np.log(10.0)
        body = at_level * rarity / np.maximum(self.level, _MIN_LEVEL)
        tail = at_level + (rarity - self.level) / unit
        found = np.where(rarity > self.level, tail, body)
        found = np.where(height >= _STRONG, np.maximum(found, height), found)
        after = height < _AFTER_SHARE * self.height
        return np.asarray(np.clip(np.where(after, np.minimum(found, ANOMALOUS_RARITY), found), 0.0, MAX_RARITY))

    def update(self, rarity: Floats, height: Floats, calibrated: Floats, learns: Flags) -> None:
        """Update the tail with one window of each sensor, in place.

        Parameters
        ----------
        rarity
            Adapted rarity of the window, shape ``(n_sensors,)``.
        height
            Rarity relative to training less its current mean, shape ``(n_sensors,)``.
        calibrated
            Result of :meth:`calibrated` for the window, shape ``(n_sensors,)``.
        learns
            Whether the window updates the tail, shape ``(n_sensors,)``.
        """
        level, excess, caution, calm, alarm_windows, recent_height = self
        recent_height[learns] = np.maximum(_HEIGHT_DECAY * recent_height, height)[learns]
        anomalous = learns & (calibrated > ANOMALOUS_RARITY)
        alarm_windows[anomalous & (calm >= HOLD_WINDOWS)] = 0.0
        alarm_windows += learns & (anomalous | (calm < HOLD_WINDOWS))
        calm[learns] = np.minimum(calm[learns] + 1.0, HOLD_WINDOWS)
        calm[anomalous] = 0.0
        counts = learns & (height < _STRONG) & ((calm >= HOLD_WINDOWS) | (alarm_windows <= _LEARNT_WINDOWS))
        moved = caution[counts] + _CAUTION_STEP * (anomalous[counts] - _NOMINAL)
        caution[counts] = np.clip(moved, _MIN_CAUTION, _MAX_CAUTION)
        beyond = counts & (rarity > level)
        step = _EXCESS_WEIGHT * (np.minimum(rarity[beyond] - level[beyond], _MAX_EXCESS) - excess[beyond])
        excess[beyond] = np.maximum(excess[beyond] + step, _MIN_EXCESS)
        moved = level[counts] + _LEVEL_STEP * excess[counts] * (beyond[counts] - _SHARE)
        level[counts] = np.maximum(moved, _MIN_LEVEL)
