"""How rare a rarity is by now: its upper tail, followed from window to window.

A mean of several detectors' rarities is no rarity itself: where they agree seldom, one normal window in a thousand may
exceed 2 already; where all of them look back on the same hour, far more than that exceed 3. So what the sensor's own
windows show counts, by peaks over threshold that go on (compare :mod:`sensorwatch.detectors.calibration`): the level
that one normal window in twenty exceeds, and by how much these do so on average.

Every window moves the level a little, up or down; one beyond it moves the mean excess, by at most 2.5 beyond. Tails
that are heavier than exponential take caution: a factor on the excess that every anomalous window raises, and every
other lowers by so little that both cancel out where one in a thousand is anomalous.

**Frozen while alarming**: of an alarm the first five windows count, and then none until 100 have followed that are no
alarm. So false alarms become rarer where there are too many, and a long fault hardly changes anything; what is learnt
of a weak alarm may end it.

**Strong windows**, whose rarity by training is 5 and more beyond the mean of now, are anomalous whatever the tail says,
and teach it nothing: healthy sensors hardly have any, and a fault that comes again and again must not become the norm.

**Behind a fault** detectors that look back see it for up to 96 windows. So a window is no alarm that lies less far
beyond the usual than four fifths of the greatest height lately, which fades with every window.

Source: A. Siffer et al., Anomaly detection in streams with extreme value theory, KDD 2017, with an exponential tail;
the level is a quantile followed by stochastic approximation (H. Robbins and S. Monro, 1951); caution is that of
I. Gibbs and E. Candès, Adaptive conformal inference under distribution shift, NeurIPS 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sensorwatch.detectors.calibration import ANOMALOUS_RARITY, HIGHEST_RARITY

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["HOLD_WINDOWS", "RecentTail"]

HOLD_WINDOWS = 100
"""Windows without an anomalous one that end an alarm."""

_SHARE = 0.05
_LEARNT_WINDOWS = 5.0
_MOST_EXCESS = 2.5
_LEVEL_STEP = 0.03
_EXCESS_WEIGHT = 1 / 10
_CAUTION_STEP = 0.2
_FIRST_CAUTION = 1.1
"""What it comes to on normal noise: a mean excess of so few windows misses its true value, and rather by too little."""

_LEAST_CAUTION, _MOST_CAUTION = 0.7, 3.0
_NOMINAL = 10.0**-ANOMALOUS_RARITY

_STRONG = 5.0
_BEHIND_SHARE = 0.8
_HEIGHT_KEPT = 0.98
"""With every window the height that the next is held against becomes less: a half in some 35."""

_LEAST_LEVEL, _LEAST_EXCESS = 0.2, 0.05

_PRIOR_LEVEL, _PRIOR_LEVEL_WINDOWS = 0.9, 100
_PRIOR_EXCESS, _PRIOR_EXCESSES = 0.3, 10
"""What the mean of independent members comes to, and how many windows of a sensor say as much."""


class RecentTail(NamedTuple):
    """The tail of each sensor by now; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    level
        What one normal window in twenty exceeds.
    excess
        By how much these exceed it on average.
    caution
        What the excess is multiplied by, as alarms have come more often than they should, or less.
    calm
        Windows since the last anomalous one, at most ``HOLD_WINDOWS``: with so many no alarm is on.
    alarm_windows
        Windows since the alarm that is on began.
    height
        How far beyond the usual the last windows were at most; less with every window since.
    """

    level: Floats
    excess: Floats
    caution: Floats
    calm: Floats
    alarm_windows: Floats
    height: Floats

    @classmethod
    def of(cls, rarity: Floats, offsets: Integers) -> RecentTail:
        """Return the tail of windows that no detector was fitted on; few windows say less than what is to be expected.

        Parameters
        ----------
        rarity
            One sensor behind the other, shape ``(n_values,)``; NaN is passed over.
        offsets
            Where each sensor's begin, shape ``(n_sensors + 1,)``.
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
        return cls.begin(level, excess)

    @classmethod
    def begin(cls, level: Floats, excess: Floats) -> RecentTail:
        """Return the tail before the first window of its sensors."""
        n = len(level)
        return cls(level, excess, np.full(n, _FIRST_CAUTION), np.full(n, float(HOLD_WINDOWS)), np.zeros(n), np.zeros(n))

    def read(self, rarity: Floats, beyond_usual: Floats) -> Floats:
        """Return how rare a window of each sensor is by now, 0 to 10; NaN for NaN.

        Parameters
        ----------
        rarity
            Of the window, measured by what is usual, shape ``(n_sensors,)``.
        beyond_usual
            How far its rarity by training lies beyond the mean of now.
        """
        at_level = -np.log10(_SHARE)
        unit = self.caution * self.excess * np.log(10.0)
        body = at_level * rarity / np.maximum(self.level, _LEAST_LEVEL)
        tail = at_level + (rarity - self.level) / unit
        by_now = np.where(rarity > self.level, tail, body)
        by_now = np.where(beyond_usual >= _STRONG, np.maximum(by_now, beyond_usual), by_now)
        behind = beyond_usual < _BEHIND_SHARE * self.height
        return np.asarray(np.clip(np.where(behind, np.minimum(by_now, ANOMALOUS_RARITY), by_now), 0.0, HIGHEST_RARITY))

    def learn(self, rarity: Floats, beyond_usual: Floats, by_now: Floats, learns: Flags) -> None:
        """Take in one window of each sensor that learns: change the arrays in place.

        Parameters
        ----------
        rarity, beyond_usual
            What :meth:`read` was given, shape ``(n_sensors,)``.
        by_now
            What it returned.
        learns
            Whether the window counts.
        """
        level, excess, caution, calm, alarm_windows, height = self
        height[learns] = np.maximum(_HEIGHT_KEPT * height, beyond_usual)[learns]
        anomalous = learns & (by_now > ANOMALOUS_RARITY)
        alarm_windows[anomalous & (calm >= HOLD_WINDOWS)] = 0.0
        alarm_windows += learns & (anomalous | (calm < HOLD_WINDOWS))
        calm[learns] = np.minimum(calm[learns] + 1.0, HOLD_WINDOWS)
        calm[anomalous] = 0.0
        counts = learns & (beyond_usual < _STRONG) & ((calm >= HOLD_WINDOWS) | (alarm_windows <= _LEARNT_WINDOWS))
        moved = caution[counts] + _CAUTION_STEP * (anomalous[counts] - _NOMINAL)
        caution[counts] = np.clip(moved, _LEAST_CAUTION, _MOST_CAUTION)
        beyond = counts & (rarity > level)
        step = _EXCESS_WEIGHT * (np.minimum(rarity[beyond] - level[beyond], _MOST_EXCESS) - excess[beyond])
        excess[beyond] = np.maximum(excess[beyond] + step, _LEAST_EXCESS)
        moved = level[counts] + _LEVEL_STEP * excess[counts] * (beyond[counts] - _SHARE)
        level[counts] = np.maximum(moved, _LEAST_LEVEL)
