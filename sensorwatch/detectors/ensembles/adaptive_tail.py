"""Rarities that follow a sensor: rare is what is rare now, not only relative to training.

In training, the rarities of normal windows have a mean and a deviation. While a sensor drifts, both change. Here their
current values are tracked, exponentially weighted over about 500 windows. A window's adapted rarity lies as many
training deviations from the training mean as its rarity lies current deviations from the current mean.

- **Frozen during an alarm.** From a window with a rarity of 3 or more on, until 100 windows below 3 have followed, mean
  and deviation are not updated. So a long anomaly does not become normal.
- **A new normal.** An alarm that has lasted for the given time and for 500 windows is a lasting change. From then on,
  the mean and deviation of the last windows are normal.

Whether a window is anomalous is decided by its tail (:mod:`~sensorwatch.detectors.ensembles.recent_tail`). The score of
a window that is not is the smoothed mean of its rarity before and after adaptation
(:mod:`~sensorwatch.detectors.ensembles.score_smoothing`), limited to below 3. The score of an anomalous window is the
mean of two rarities: the one by its tail, and the higher one of smoothed and not smoothed, at least 3.

All rarities are those of :mod:`sensorwatch.detectors.calibration`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.calibration import ANOMALOUS_RARITY, MAX_RARITY
from sensorwatch.detectors.ensembles.recent_tail import HOLD_WINDOWS, RecentTail
from sensorwatch.detectors.ensembles.score_smoothing import ScoreSmoothing

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["NEW_NORMAL_WINDOWS", "Adaptation", "NormalRarities", "adapt"]

NEW_NORMAL_WINDOWS = 500

_FREEZES = ANOMALOUS_RARITY
_NORMAL = 2.0
"""Windows with a lower rarity in training are normal."""

_NO_ALARM = float(np.nextafter(ANOMALOUS_RARITY, 0.0))

_WEIGHT = 1 / 500
_RECENT_WEIGHT = 1 / 100
_MIN_DEVIATION = 0.5
"""As a share of the deviation in training: a sensor that has become quieter is judged by at least half of it."""

_PRIOR_WINDOWS = 30
_PRIOR_MEAN = float(np.log10(np.e))
"""Mean and deviation of exact rarities, which have an exponential distribution to the base of 10."""


class NormalRarities(NamedTuple):
    """Distribution of normal windows' rarities in training; every array has shape ``(n_sensors,)``.

    Attributes
    ----------
    mean, variance
        Mean and variance of the rarities.
    level, excess
        Their tail, as in :class:`~sensorwatch.detectors.ensembles.recent_tail.RecentTail`.
    """

    mean: Floats
    variance: Floats
    level: Floats
    excess: Floats

    @classmethod
    def of(cls, rarity: Floats, offsets: Integers) -> NormalRarities:
        """Return the distribution over windows that no member was fitted on; with few windows, the prior dominates.

        Parameters
        ----------
        rarity
            Rarities, one sensor after the other, shape ``(n_values,)``; NaN is skipped.
        offsets
            Where each sensor's rarities begin, shape ``(n_sensors + 1,)``.
        """
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
    """State of adaptation, part of an ensemble's checkpoint; every array has shape ``(n_sensors,)``.

    The names of the attributes are stored.

    Attributes
    ----------
    mean, variance
        Current mean and variance of normal windows' rarities.
    recent_mean, recent_variance
        Mean and variance of the last windows' rarities, normal or not.
    calm
        Windows since the last one with a rarity of 3 or more, at most ``HOLD_WINDOWS``, at which no alarm is active.
    alarm_start
        End of the first window of the active alarm, in seconds since 1970-01-01T00:00:00Z.
    alarm_windows
        Windows since the active alarm began.
    trained_until
        End of the last training window of the model that the rarities come from.
    smooth, lasting, step, step_windows
        A :class:`~sensorwatch.detectors.ensembles.score_smoothing.ScoreSmoothing`.
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
    def initial(cls, normal: NormalRarities, trained_until: Integers) -> Adaptation:
        """Return the state at the end of training."""
        zero = np.zeros(len(normal.mean))
        smoothing, tail = ScoreSmoothing.initial(normal.mean), RecentTail.initial(normal.level, normal.excess)
        until = trained_until.astype(np.float64)
        return cls(*normal[:2], *normal[:2], zero + HOLD_WINDOWS, zero, zero, until, *smoothing, *tail)

    @property
    def smoothing(self) -> ScoreSmoothing:
        """State of score smoothing, as views."""
        return ScoreSmoothing(self.smooth, self.lasting, self.step, self.step_windows)

    @property
    def tail(self) -> RecentTail:
        """Current tail, as views."""
        return RecentTail(*self[-len(RecentTail._fields) :])

    @classmethod
    def type(cls) -> pa.DataType:
        """Return the type of :meth:`packed`."""
        return pa.struct([pa.field(name, pa.float64()) for name in cls._fields])

    @classmethod
    def unpack(cls, packed: pa.StructArray) -> Adaptation:
        """Return the state in the result of :meth:`packed`."""
        return cls(*(packed.field(name).to_numpy(zero_copy_only=False) for name in cls._fields))

    def packed(self) -> pa.StructArray:
        """Return the state as one struct per sensor."""
        return pa.StructArray.from_arrays([pa.array(np.asarray(each)) for each in self], fields=list(self.type()))

    def for_model(self, initial: Adaptation) -> Adaptation:
        """Return the state for a model with this initial state.

        Another model has other rarities, so everything that depends on them begins again. Alarms and tail continue.
        """
        same = self.trained_until == initial.trained_until
        changed = self._replace(
            mean=initial.mean,
            variance=initial.variance,
            recent_mean=initial.recent_mean,
            recent_variance=initial.recent_variance,
            trained_until=initial.trained_until,
            smooth=initial.smooth,
            lasting=initial.lasting,
        )
        return self.where(same, changed)

    def where(self, condition: Flags, other: Adaptation) -> Adaptation:
        """Return this state where the condition holds, and the other state elsewhere."""
        return Adaptation(*(np.where(condition, one, two) for one, two in zip(self, other, strict=True)))


def adapt(
    rarity: Floats,
    series: Series,
    normal: NormalRarities,
    state: Adaptation,
    trained_until: Integers,
    new_normal_seconds: Floats,
) -> tuple[Floats, Adaptation]:
    """Return scores, as rarities relative to the sensor's recent windows, and the state after the series.

    Parameters
    ----------
    rarity
        Rarities relative to training, 0 to 10, shape ``(n_values,)``; NaN for a window without a score.
    series
        Windows.
    normal
        Distribution of normal windows' rarities in training.
    state
        State before the first window.
    trained_until
        End of the last training window, shape ``(n_sensors,)``. Windows up to it (inclusive) change no state.
    new_normal_seconds
        How long a change lasts before it becomes normal, shape ``(n_sensors,)``.
    """
    scores = np.full(len(rarity), np.nan)
    # Sensors with the most windows first: those that have a window number i are then always the first n.
    order = np.argsort(-series.lengths, kind="stable")
    lengths, starts = series.lengths[order], series.offsets[:-1][order]
    columns = [np.array(column, np.float64)[order] for column in state]
    mean, deviation = normal.mean[order], np.sqrt(normal.variance[order])
    learns_after, new_normal_seconds = trained_until[order], new_normal_seconds[order]
    counts = np.searchsorted(-lengths, -np.arange(int(lengths.max(initial=0))), side="left")
    for i, n in enumerate(counts.tolist()):
        place = starts[:n] + i
        now = Adaptation(*(each[:n] for each in columns))
        tail = now.tail
        by_training = rarity[place]
        adapted = _adapted(by_training, mean[:n], deviation[:n], now)
        height = by_training - now.mean
        by_tail = tail.calibrated(adapted, height)
        both = (by_training + adapted) / 2
        times = series.times[place]
        learns = ~np.isnan(adapted) & (times > learns_after[:n])
        if learns.any():
            tail.update(adapted, height, by_tail, learns)
            _update(by_training, adapted, times, learns, new_normal_seconds[:n], now)
        smoothing = now.smoothing
        score = _score(by_tail, both, smoothing.smoothed(both, learns))
        scores[place] = smoothing.stepped(score, learns)
    back = np.argsort(order)
    return scores, Adaptation(*(column[back] for column in columns))


def _adapted(rarity: Floats, mean: Floats, deviation: Floats, state: Adaptation) -> Floats:
    current = np.maximum(np.sqrt(state.variance), _MIN_DEVIATION * deviation)
    return np.clip(mean + (rarity - state.mean) * (deviation / current), 0.0, MAX_RARITY)


def _score(by_tail: Floats, rarity: Floats, smoothed: Floats) -> Floats:
    alarming = (by_tail + np.maximum(np.maximum(rarity, smoothed), ANOMALOUS_RARITY)) / 2
    return np.where(by_tail > ANOMALOUS_RARITY, alarming, np.minimum(smoothed, _NO_ALARM))


def _update(
    rarity: Floats, adapted: Floats, times: Integers, learns: Flags, new_normal_seconds: Floats, state: Adaptation
) -> None:
    """Update the state with one window of each sensor, in place."""
    mean, variance, recent_mean, recent_variance, calm, alarm_start, alarm_windows = state[:7]
    freezes = learns & (adapted >= _FREEZES)
    begins = freezes & (calm >= HOLD_WINDOWS)
    alarm_start[begins] = times[begins]
    alarm_windows[begins] = 0.0
    calm[learns] = np.minimum(calm[learns] + 1.0, HOLD_WINDOWS)
    calm[freezes] = 0.0
    alarm = calm < HOLD_WINDOWS
    alarm_windows += alarm & learns
    _update_moments(recent_mean, recent_variance, rarity, np.where(learns, _RECENT_WEIGHT, 0.0))
    _update_moments(mean, variance, rarity, np.where(learns & ~alarm, _WEIGHT, 0.0))
    lasting = learns & alarm & (times - alarm_start >= new_normal_seconds) & (alarm_windows >= NEW_NORMAL_WINDOWS)
    if lasting.any():
        mean[lasting], variance[lasting] = recent_mean[lasting], recent_variance[lasting]
        calm[lasting] = HOLD_WINDOWS


def _update_moments(mean: Floats, variance: Floats, value: Floats, weight: Floats) -> None:
    difference = np.where(weight > 0, value - mean, 0.0)
    variance += weight * (difference * difference - variance)
    mean += weight * difference
