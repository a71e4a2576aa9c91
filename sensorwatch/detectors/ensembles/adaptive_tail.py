"""Rarities that follow a sensor: what is usual now, not only in training, decides what is rare.

In training, normal windows had rarities with some mean and deviation. While a sensor drifts, both move. Here they are
followed, exponentially weighted over some 500 windows, and a rarity is read as so many deviations from the mean of now
as it would have been in training.

- **Frozen while alarming**: from a window of rarity 3 on, until 100 below that have followed, nothing is learnt, so
  that a long fault does not become the norm.
- **A new normal**: an alarm that has lasted for so long, and for 500 windows, is a lasting change; what the last
  windows were like is normal from then on.

Whether that is an alarm is for its tail to say (:mod:`~sensorwatch.detectors.ensembles.recent_tail`). The score is what
the window and those before it count for by training and by now
(:mod:`~sensorwatch.detectors.ensembles.score_smoothing`), held below 3 where it is no alarm. Where it is one, the
window alone may count for more: the score is the mean of the higher, at least 3, and of how rare it is by now.

Rarities, before and after, are those of :mod:`sensorwatch.detectors.calibration`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.calibration import ANOMALOUS_RARITY, HIGHEST_RARITY
from sensorwatch.detectors.ensembles.recent_tail import HOLD_WINDOWS, RecentTail
from sensorwatch.detectors.ensembles.score_smoothing import Lately

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["NEW_NORMAL_WINDOWS", "Adaptation", "Usual", "adapt"]

NEW_NORMAL_WINDOWS = 500

_FREEZES = ANOMALOUS_RARITY
_NORMAL = 2.0
"""Windows below that are the usual ones of training."""

_NO_ALARM = float(np.nextafter(ANOMALOUS_RARITY, 0.0))

_WEIGHT = 1 / 500
_RECENT_WEIGHT = 1 / 100
_LEAST_DEVIATION = 0.5
"""Of that in training: a sensor that has become quieter is not held to less than half its noise."""

_PRIOR_WINDOWS = 30
_PRIOR_MEAN = float(np.log10(np.e))
"""An exponential distribution to the base of 10, which exact rarities have, has this mean, and this deviation."""


class Usual(NamedTuple):
    """Normal windows' rarities in training; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    mean, variance
        Of them.
    level, excess
        Their tail, as :class:`~sensorwatch.detectors.ensembles.recent_tail.RecentTail` has it.
    """

    mean: Floats
    variance: Floats
    level: Floats
    excess: Floats

    @classmethod
    def of(cls, rarity: Floats, offsets: Integers) -> Usual:
        """Return those of windows that no detector was fitted on; few windows say less than what is to be expected."""
        normal = rarity < _NORMAL
        number = _sums(normal.astype(np.float64), offsets) + _PRIOR_WINDOWS
        values = np.where(normal, rarity, 0.0)
        mean = (_sums(values, offsets) + _PRIOR_WINDOWS * _PRIOR_MEAN) / number
        squares = np.where(normal, (values - np.repeat(mean, np.diff(offsets))) ** 2, 0.0)
        variance = (_sums(squares, offsets) + _PRIOR_WINDOWS * _PRIOR_MEAN**2) / number
        tail = RecentTail.of(rarity, offsets)
        return cls(mean, variance, tail.level, tail.excess)


def _sums(values: Floats, offsets: Integers) -> Floats:
    sums = np.zeros(len(offsets) - 1)
    filled = np.flatnonzero(np.diff(offsets))
    if len(filled):
        sums[filled] = np.add.reduceat(values, offsets[filled])
    return sums


class Adaptation(NamedTuple):
    """What is usual for each sensor by now; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    mean, variance
        Of the rarities of normal windows.
    recent_mean, recent_variance
        Of the rarities of the last windows, normal or not.
    calm
        Windows since the last one that froze it, at most ``HOLD_WINDOWS``: with so many no alarm is on.
    alarm_start, alarm_windows
        End of the first window of the alarm that is on, and windows since then.
    trained_until
        End of the last training window of the model whose rarities these are.
    smooth, lasting, step, step_windows
        A :class:`~sensorwatch.detectors.ensembles.score_smoothing.Lately`.
    tail_level, tail_excess, tail_caution, tail_calm, tail_alarm_windows, tail_height
        A :class:`~sensorwatch.detectors.ensembles.recent_tail.RecentTail`.
    """

    mean: Floats
    variance: Floats
    recent_mean: Floats
    recent_variance: Floats
    calm: Floats
    alarm_start: Floats
    alarm_windows: Floats
    trained_until: Floats
    smooth: Floats
    lasting: Floats
    step: Floats
    step_windows: Floats
    tail_level: Floats
    tail_excess: Floats
    tail_caution: Floats
    tail_calm: Floats
    tail_alarm_windows: Floats
    tail_height: Floats

    @classmethod
    def begin(cls, usual: Usual, trained_until: Integers) -> Adaptation:
        """Return what is known when training ends."""
        zero = np.zeros(len(usual.mean))
        lately, tail = Lately.begin(usual.mean), RecentTail.begin(usual.level, usual.excess)
        until = trained_until.astype(np.float64)
        return cls(*usual[:2], *usual[:2], zero + HOLD_WINDOWS, zero, zero, until, *lately, *tail)

    @property
    def lately(self) -> Lately:
        """What is known of the last windows: the same arrays."""
        return Lately(self.smooth, self.lasting, self.step, self.step_windows)

    @property
    def tail(self) -> RecentTail:
        """The tail by now: the same arrays."""
        return RecentTail(*self[-len(RecentTail._fields) :])

    @classmethod
    def type(cls) -> pa.DataType:
        """Return the type of :meth:`packed`."""
        return pa.struct([pa.field(name, pa.float64()) for name in cls._fields])

    @classmethod
    def unpack(cls, packed: pa.StructArray) -> Adaptation:
        """Return what :meth:`packed` holds."""
        return cls(*(packed.field(name).to_numpy(zero_copy_only=False) for name in cls._fields))

    def packed(self) -> pa.StructArray:
        """Return it as a struct per sensor."""
        return pa.StructArray.from_arrays([pa.array(np.asarray(each)) for each in self], fields=list(self.type()))

    def going_on(self, begin: Adaptation) -> Adaptation:
        """Return it for the model that begins like that: another model has other rarities, but the same alarm."""
        same = self.trained_until == begin.trained_until
        kept = self._replace(
            mean=begin.mean,
            variance=begin.variance,
            recent_mean=begin.recent_mean,
            recent_variance=begin.recent_variance,
            trained_until=begin.trained_until,
            smooth=begin.smooth,
            lasting=begin.lasting,
        )
        return self.where(same, kept)

    def where(self, condition: npt.NDArray[np.bool_], other: Adaptation) -> Adaptation:
        """Return this where the condition holds, and the other elsewhere."""
        return Adaptation(*(np.where(condition, one, two) for one, two in zip(self, other, strict=True)))


def adapt(
    rarity: Floats, series: Series, usual: Usual, known: Adaptation, trained_until: Integers, patience: Floats
) -> tuple[Floats, Adaptation]:
    """Return scores, which are rarities measured by what is usual at their time, and what is known after them.

    Parameters
    ----------
    rarity
        By training alone, 0 to 10, NaN where there is none, shape ``(n_values,)``.
    series
        The windows.
    usual
        In training.
    known
        What is known before the first window.
    trained_until
        Windows up to this time change nothing, shape ``(n_sensors,)``.
    patience
        Seconds that a change lasts until it is normal, shape ``(n_sensors,)``.
    """
    scores = np.full(len(rarity), np.nan)
    order = np.argsort(-series.lengths, kind="stable")
    lengths, starts = series.lengths[order], series.offsets[:-1][order]
    state = [np.array(column, np.float64)[order] for column in known]
    mean, deviation = usual.mean[order], np.sqrt(usual.variance[order])
    learns_after, patience = trained_until[order], patience[order]
    at_work = np.searchsorted(-lengths, -np.arange(int(lengths.max(initial=0))), side="left")
    for i, n in enumerate(at_work.tolist()):
        place = starts[:n] + i
        now = Adaptation(*(each[:n] for each in state))
        lately, tail = now.lately, now.tail
        adapted = _read(rarity[place], mean[:n], deviation[:n], now)
        beyond_usual = rarity[place] - now.mean
        by_now = tail.read(adapted, beyond_usual)
        both = (rarity[place] + adapted) / 2
        times = series.times[place]
        learns = ~np.isnan(adapted) & (times > learns_after[:n])
        if learns.any():
            tail.learn(adapted, beyond_usual, by_now, learns)
            _learn(rarity[place], adapted, times, learns, patience[:n], now)
        scores[place] = lately.stepped(_score(by_now, both, lately.weigh(both, learns)), learns)
    back = np.argsort(order)
    return scores, Adaptation(*(column[back] for column in state))


def _read(rarity: Floats, mean: Floats, deviation: Floats, state: Adaptation) -> Floats:
    now = np.maximum(np.sqrt(state.variance), _LEAST_DEVIATION * deviation)
    return np.clip(mean + (rarity - state.mean) * (deviation / now), 0.0, HIGHEST_RARITY)


def _score(by_now: Floats, rarity: Floats, counts_for: Floats) -> Floats:
    alarming = (by_now + np.maximum(np.maximum(rarity, counts_for), ANOMALOUS_RARITY)) / 2
    return np.where(by_now > ANOMALOUS_RARITY, alarming, np.minimum(counts_for, _NO_ALARM))


def _learn(
    rarity: Floats,
    adapted: Floats,
    times: Integers,
    learns: npt.NDArray[np.bool_],
    patience: Floats,
    state: Adaptation,
) -> None:
    """Take in one window of each sensor: change the state's arrays in place."""
    mean, variance, recent_mean, recent_variance, calm, alarm_start, alarm_windows = state[:7]
    freezes = learns & (adapted >= _FREEZES)
    begins = freezes & (calm >= HOLD_WINDOWS)
    alarm_start[begins] = times[begins]
    alarm_windows[begins] = 0.0
    calm[learns] = np.minimum(calm[learns] + 1.0, HOLD_WINDOWS)
    calm[freezes] = 0.0
    alarm = calm < HOLD_WINDOWS
    alarm_windows += alarm & learns
    _follow(recent_mean, recent_variance, rarity, np.where(learns, _RECENT_WEIGHT, 0.0))
    _follow(mean, variance, rarity, np.where(learns & ~alarm, _WEIGHT, 0.0))
    lasting = learns & alarm & (times - alarm_start >= patience) & (alarm_windows >= NEW_NORMAL_WINDOWS)
    if lasting.any():
        mean[lasting], variance[lasting] = recent_mean[lasting], recent_variance[lasting]
        calm[lasting] = HOLD_WINDOWS


def _follow(mean: Floats, variance: Floats, value: Floats, weight: Floats) -> None:
    difference = np.where(weight > 0, value - mean, 0.0)
    variance += weight * (difference * difference - variance)
    mean += weight * difference
