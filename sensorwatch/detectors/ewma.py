"""Exponentially weighted moving average: the distance of a value from the sensor's recent level.

Each value updates level and variance with a weight of 0.01. A value more than 3 standard deviations from the level
counts as if it were 3 away. So an anomaly is not learned at once, but a lasting change is learned in the end. The raw
score is the distance from the level before the value, in standard deviations. The standard deviation never falls below
that of training; otherwise, everything would be anomalous after a quiet period.

Gaps are ignored, because a few values more or less hardly change an average over about a hundred.

Source: S. W. Roberts, Control chart tests based on geometric moving averages, Technometrics 1 (1959); the variance
follows W. Stallings et al., as RFC 6298 uses it; the clipping is Huber's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import (
    CHECKPOINT,
    Advanced,
    Expected,
    Fitted,
    StatefulDetector,
    checkpoint_times,
    continues,
)
from sensorwatch.detectors.windowing.summary import CONSTANT_TOLERANCE, MIN_SCALE, Summary
from sensorwatch.sensors.windows import BEFORE_ALL_WINDOWS

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Flags = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

__all__ = ["Ewma"]

_WEIGHT = 0.01
_CLIP = 3.0
_MIN_SCORE = 1e-3
"""Lower scores differ from 0 by rounding only."""

_MAX_SCORE = 1e300
_SENSORS_AT_ONCE = 4096
_CELLS_AT_ONCE = 1 << 17
"""Values that are arranged by time at once; they fit in the processor's cache."""

_CHECKPOINT = pa.struct(
    [pa.field("as_of", pa.int64()), pa.field("level", pa.float64()), pa.field("variance", pa.float64())]
)
_PARAMS = pa.struct(
    [
        pa.field("center", pa.float64()),
        pa.field("scale", pa.float64()),
        pa.field(CHECKPOINT, _CHECKPOINT),
    ]
)


class Ewma(StatefulDetector):
    """The detector ``ewma``."""

    name = "ewma"
    has_bands = True

    def fit(self, series: Series) -> Fitted:
        """Follow the training values; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        finite = series.finite()
        summary = Summary.of(finite)
        reasons = summary.reasons()
        sound = np.array([reason is None for reason in reasons], np.bool_)
        rounding = CONSTANT_TOLERANCE * np.maximum(np.abs(summary.lowest), np.abs(summary.highest))
        scale = np.maximum(summary.scale, np.maximum(rounding, MIN_SCALE))
        center, scale = np.where(sound, summary.mean, 0.0), np.where(sound, scale, 1.0)
        with np.errstate(all="ignore"):
            run = _run(_Start(center, scale * scale, scale), finite)
        as_of = finite.newest(np.full(finite.n_sensors, BEFORE_ALL_WINDOWS))
        checkpoint = _packed_checkpoint(as_of, run.last_level, run.last_variance, sound)
        columns = [pa.array(np.where(sound, column, 0.0)) for column in (center, scale)]
        params = pa.StructArray.from_arrays([*columns, checkpoint], fields=list(_PARAMS), mask=pa.array(~sound))
        raw = _distances(params, series, run)
        raw[~np.repeat(sound, series.lengths)] = np.nan
        return Fitted(params, tuple(reasons), raw)

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return distances from the level; see :meth:`~sensorwatch.detectors.base.Detector.score`."""
        return _distances(params, series, _run_from_checkpoint(params, series)[1])

    def advance(self, params: pa.StructArray, series: Series, threshold: Floats | None = None) -> Advanced:
        """Return scores, levels and bands; see :meth:`~sensorwatch.detectors.base.Detector.advance`."""
        finite, run = _run_from_checkpoint(params, series, deviations=threshold is not None)
        as_of = finite.newest(checkpoint_times(params))
        fitted = params.is_valid().to_numpy(zero_copy_only=False)
        checkpoint = _packed_checkpoint(as_of, run.last_level, run.last_variance, fitted)
        # In this order: computing the distances overwrites the run.
        expected = None if threshold is None else _expected(series, finite, run, threshold)
        return Advanced(_distances(params, series, run), checkpoint, expected)

    def expected(self, params: pa.StructArray, series: Series, threshold: Floats) -> Expected:
        """Return level and band; see :meth:`~sensorwatch.detectors.base.Detector.expected`."""
        return _expected(series, *_run_from_checkpoint(params, series, deviations=True), threshold)


class _Start(NamedTuple):
    """Level and variance before a series, and the least standard deviation, each of shape ``(n_sensors,)``."""

    level: Floats
    variance: Floats
    least: Floats


class _Run(NamedTuple):
    """Result of following values.

    Attributes
    ----------
    distance
        Signed distance of each value from the level before it, in standard deviations, shape ``(n_values,)``.
    deviation
        Standard deviation before each value, shape ``(n_values,)``; empty if it was not asked for.
    last_level, last_variance
        Level and variance after the last value of each sensor, shape ``(n_sensors,)``.
    """

    distance: Floats
    deviation: Floats
    last_level: Floats
    last_variance: Floats


def _run_from_checkpoint(params: pa.StructArray, series: Series, *, deviations: bool = False) -> tuple[Series, _Run]:
    """Return the finite values, and the result of following them from the checkpoints on."""
    missing = params.is_null().to_numpy(zero_copy_only=False)
    center, scale = (
        np.where(missing, np.nan, params.field(name).to_numpy(zero_copy_only=False)) for name in ("center", "scale")
    )
    checkpoint = params.field(CHECKPOINT)
    level, variance = (
        np.where(missing, np.nan, checkpoint.field(name).to_numpy(zero_copy_only=False))
        for name in ("level", "variance")
    )
    known = continues(params, series)
    start = _Start(np.where(known, level, center), np.where(known, variance, scale * scale), scale)
    finite = series.finite()
    with np.errstate(all="ignore"):
        return finite, _run(start, finite, deviations=deviations)


def _expected(series: Series, finite: Series, run: _Run, threshold: Floats) -> Expected:
    """Return the levels before the values of a series, and bands of ``threshold`` standard deviations."""
    value, low, high = (np.full(len(series.values), np.nan) for _ in range(3))
    known = np.isfinite(series.values)
    with np.errstate(all="ignore"):
        level = finite.values - run.distance * run.deviation
        reach = run.deviation * np.repeat(threshold, finite.lengths)
        value[known], low[known], high[known] = level, level - reach, level + reach
    return Expected(value, low, high)


def _distances(params: pa.StructArray, series: Series, run: _Run) -> Floats:
    """Return the raw scores of a series from the run over its finite values; overwrites ``run.distance``."""
    distance = np.abs(run.distance, out=run.distance)
    distance[distance < _MIN_SCORE] = 0.0
    np.minimum(distance, _MAX_SCORE, out=distance)
    finite = np.isfinite(series.values)
    if finite.all():
        return distance
    raw = np.full(len(series.values), np.nan)
    raw[finite] = distance
    fitted = np.repeat(params.is_valid().to_numpy(zero_copy_only=False), series.lengths)
    raw[np.isinf(series.values) & fitted] = np.inf
    return raw


def _run(start: _Start, series: Series, *, deviations: bool = False) -> _Run:
    """Follow finite values, all sensors side by side."""
    distance, deviation = np.empty(len(series.values)), np.empty(len(series.values) if deviations else 0)
    last_level, last_variance = start.level.copy(), start.variance.copy()
    # The longest series first, so that the sensors that still have values are always the first ones.
    order = np.argsort(-series.lengths, kind="stable")
    order = order[: np.count_nonzero(series.lengths)]
    for first in range(0, len(order), _SENSORS_AT_ONCE):
        rows = order[first : first + _SENSORS_AT_ONCE]
        block = _Block.of(series, rows)
        state = _State.of(last_level[rows], last_variance[rows], start.least[rows])
        longest, step = int(block.lengths[0]), max(1, _CELLS_AT_ONCE // len(rows))
        for begin in range(0, longest, step):
            times = slice(begin, min(begin + step, longest))
            columns = block.columns(series.values, times)
            spreads = np.empty_like(columns) if deviations else None
            _side_by_side(state, columns, block.lengths - begin, spreads)
            block.put_back(columns, distance, times)
            if spreads is not None:
                block.put_back(spreads, deviation, times)
        last_level[rows], last_variance[rows] = state.level, state.variance
    return _Run(distance, deviation, last_level, last_variance)


class _Block(NamedTuple):
    """Places of the values of some sensors in a series, the longest first.

    ``stretch`` is the slice that holds them if they follow each other and have the same length.
    """

    stretch: slice | None
    starts: Integers
    lengths: Integers

    @classmethod
    def of(cls, series: Series, rows: Integers) -> _Block:
        starts, lengths = series.offsets[rows], series.lengths[rows]
        together = lengths[-1] == lengths[0] and (np.diff(rows) == 1).all()
        return cls(slice(int(starts[0]), int(starts[-1] + lengths[-1])) if together else None, starts, lengths)

    def columns(self, values: Floats, times: slice) -> Floats:
        """Return the values at some times, shape ``(n_times, n_sensors)``, contiguous by time."""
        if self.stretch is None:
            return values[self._places(times)].T.copy()
        return values[self.stretch].reshape(len(self.starts), -1)[:, times].T.copy()

    def put_back(self, columns: Floats, values: Floats, times: slice) -> None:
        """Write columns to the places of the values that they were made from."""
        if self.stretch is None:
            used = np.arange(times.start, times.stop) < self.lengths[:, None]
            values[self._places(times)[used]] = columns.T[used]
        else:
            values[self.stretch].reshape(len(self.starts), -1)[:, times] = columns.T

    def _places(self, times: slice) -> Integers:
        step = np.arange(times.start, times.stop)
        return np.asarray(self.starts[:, None] + np.minimum(step, self.lengths[:, None] - 1))


class _State(NamedTuple):
    """Level and variance of sensors, updated value by value, and buffers for intermediate results."""

    level: Floats
    variance: Floats
    least: Floats
    clipped: Floats
    moved: Floats
    deviation: Floats
    constants: Floats

    @classmethod
    def of(cls, level: Floats, variance: Floats, least: Floats) -> _State:
        # Arrays, because NumPy would convert a number to an array in every step.
        constants = np.tile(np.array([[-_CLIP], [_CLIP], [_WEIGHT], [1.0 - _WEIGHT]]), len(level))
        clipped, moved, deviation = np.empty((3, len(level)))
        return cls(level, variance, least * least, clipped, moved, deviation, constants)

    def first(self, n: int) -> _State:
        """Return views of the first ``n`` sensors."""
        return _State(*(each[..., :n] for each in self))


def _side_by_side(state: _State, values: Floats, lengths: Integers, deviations: Floats | None) -> None:
    """Follow the values of several sensors in place.

    Parameters
    ----------
    state
        Level and variance before the values; overwritten by those after them.
    values
        Shape ``(n_times, n_sensors)``, the sensor with the most values first; overwritten by the distances.
    lengths
        Number of values of each sensor, shape ``(n_sensors,)``.
    deviations
        Overwritten by the standard deviation before each value; None if it is not needed.
    """
    counts = np.searchsorted(-lengths, -np.arange(len(values)), side="left")
    width = 0
    for i, n in enumerate(counts.tolist()):
        # The sensors that still have values are the first ones; all arithmetic is in place.
        if n != width:
            width = n
            level, variance, least, d, step, spare, (low, high, weight, rest) = state.first(n)
        distance, deviation = values[i, :n], spare if deviations is None else deviations[i, :n]
        np.sqrt(variance, out=deviation)
        np.subtract(distance, level, out=distance)
        np.divide(distance, deviation, out=distance)
        # From here on, in units of the standard deviation.
        np.minimum(distance, high, out=d)
        np.maximum(d, low, out=d)
        np.multiply(d, weight, out=step)
        np.multiply(d, step, out=d)
        np.multiply(step, deviation, out=step)
        np.add(level, step, out=level)
        np.add(d, rest, out=d)
        np.multiply(variance, d, out=variance)
        np.maximum(variance, least, out=variance)


def _packed_checkpoint(
    as_of: Integers, level: Floats, variance: Floats, sound: npt.NDArray[np.bool_]
) -> pa.StructArray:
    columns = [pa.array(as_of), pa.array(np.where(sound, level, 0.0)), pa.array(np.where(sound, variance, 0.0))]
    return pa.StructArray.from_arrays(columns, fields=list(_CHECKPOINT), mask=pa.array(~sound))
