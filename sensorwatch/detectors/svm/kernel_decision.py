"""Decision functions of many one-class SVMs with an RBF kernel over one value, evaluated together.

A sensor's function is ``sum_j weight_j exp(-GAMMA (z - vector_j)²) + intercept`` with ``z = (value - mean) / scale``.
The weights are positive, so it decreases outside the outermost support vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from sensorwatch.detectors.windowing.series import VALUES_AT_ONCE, Series
from sensorwatch.detectors.windowing.summary import CONSTANT_TOLERANCE

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

__all__ = ["CLOSED_FORM_WIDTH", "GAMMA", "TIE", "KernelDecision"]

GAMMA = 0.01

TIE = 1e-9
"""Raw scores this close to the boundary are on it: solvers and orders of summation differ by less."""

CLOSED_FORM_WIDTH = 15.6
"""Largest width w with a closed form: with u = exp(-GAMMA w² / 4), the middle is normal iff 2u ≥ 1 + u⁴ (w ≤ 15.61)."""

_GRID = 257
"""Points at which normal values are searched for, if the outer support vectors are not on the boundary."""

_BISECTIONS = 60


class KernelDecision(NamedTuple):
    """Parameters of many sensors as arrays.

    Attributes
    ----------
    mean
        Mean of the training values, shape ``(n_sensors,)``; NaN for a sensor without a model.
    scale
        Standard deviation of the training values, shape ``(n_sensors,)``; 0 for a constant sensor.
    intercept
        Constant term of the function, shape ``(n_sensors,)``.
    starts, counts
        First position and number of each sensor's support vectors, shape ``(n_sensors,)``; 0 vectors without a model.
    support_vectors, weights
        Standardised support vectors of all sensors, and their weights, shape ``(n_vectors,)``.
    """

    mean: Floats
    scale: Floats
    intercept: Floats
    starts: Integers
    counts: Integers
    support_vectors: Floats
    weights: Floats

    @classmethod
    def of(cls, params: pa.StructArray) -> KernelDecision:
        """Return the functions of stored parameters, shape ``(n_sensors,)``."""
        vectors, weights = params.field("support_vectors"), params.field("dual_coefficients")
        counts = pc.fill_null(pc.list_value_length(vectors), 0).to_numpy().astype(np.int64)
        starts = np.cumsum(counts) - counts
        mean, scale, intercept = (
            params.field(name).to_numpy(zero_copy_only=False) for name in ("mean", "scale", "intercept")
        )
        if params.null_count:
            fitted = params.is_valid().to_numpy(zero_copy_only=False)
            mean, scale, intercept = (np.where(fitted, column, np.nan) for column in (mean, scale, intercept))
            counts = np.where(fitted, counts, 0)
        return cls(mean, scale, intercept, starts, counts, vectors.flatten().to_numpy(), weights.flatten().to_numpy())

    def raw_scores(self, series: Series) -> Floats:
        """Return the negated functions at the values of a series, shape ``(n_values,)``; NaN for NaN.

        For a constant sensor they are 0 at its value and 1 elsewhere.
        """
        raw = np.empty(len(series.values))
        places = _Places(self)
        offsets = series.offsets
        with np.errstate(over="ignore", invalid="ignore"):
            for first, last in series.chunks():
                part = slice(int(offsets[first]), int(offsets[last]))
                self._score(places, first, last, np.diff(offsets[first : last + 1]), series.values[part], raw[part])
        return raw

    def _score(self, places: _Places, first: int, last: int, lengths: Integers, values: Floats, raw: Floats) -> None:
        """Write the raw scores of the sensors ``first`` (inclusive) to ``last`` (exclusive) to ``raw``."""
        length = int(lengths[0])
        if length and (lengths == length).all():
            # One row per sensor: its parameters need not be repeated.
            values, raw = values.reshape(-1, length), raw.reshape(-1, length)
            repeats = None
        else:
            repeats = np.repeat(np.arange(last - first), lengths)

        def of_each(column: Floats, rows: Integers | None = None) -> Floats:
            own = column[first:last]
            if repeats is None:
                return own[:, None] if rows is None else own[rows, None]
            return own[repeats] if rows is None else own[repeats[rows]]

        standardised = values - of_each(self.mean)
        standardised *= of_each(places.factor)
        for j, (vector, log_weight) in enumerate(zip(places.vectors, places.log_weights, strict=True)):
            rows = None
            at = standardised
            if j >= _Places.EVERY:
                having = self.counts[first:last] > j
                rows = np.flatnonzero(having if repeats is None else having[repeats])
                if not len(rows):
                    break
                if 2 * len(rows) < len(standardised):
                    at = standardised[rows]
                else:
                    # The weights of the others are 0. Adding them is faster than selecting most rows.
                    rows = None
            distance = at - of_each(vector, rows)
            distance *= distance
            np.subtract(of_each(log_weight, rows), distance, out=distance)
            np.exp(distance, out=distance)
            if rows is not None:
                raw[rows] -= distance
            elif j:
                raw -= distance
            else:
                np.subtract(of_each(places.negative_intercept), distance, out=raw)
        constant = self.scale[first:last] == 0
        if constant.any():
            rows = np.flatnonzero(constant if repeats is None else constant[repeats])
            centre, given = of_each(self.mean, rows), values[rows]
            other = np.where(np.abs(given - centre) <= CONSTANT_TOLERANCE * np.abs(centre), 0.0, 1.0)
            raw[rows] = np.where(np.isnan(given), np.nan, other)

    def anomalous(self, series: Series) -> Flags:
        """Return whether the raw score of each value is above :data:`TIE`, shape ``(n_values,)``; False for NaN.

        Values inside the range of a closed form are normal, so for most values the raw score need not be computed.
        """
        low, high = self._surely_normal()
        lengths = series.lengths
        even = len(lengths) > 0 and bool((lengths == lengths[0]).all())
        if even:
            values = series.values.reshape(len(lengths), lengths[0])
            flags = np.empty(values.shape, np.bool_)
            sensors_at_once = max(1, VALUES_AT_ONCE // max(1, int(lengths[0])))
            for first in range(0, len(lengths), sensors_at_once):
                part = slice(first, first + sensors_at_once)
                np.less(values[part], low[part, None], out=flags[part])
                flags[part] |= values[part] > high[part, None]
        else:
            values = series.values
            flags = (values < np.repeat(low, lengths)) | (values > np.repeat(high, lengths))
        undecided = np.flatnonzero(low > high)
        whole = undecided if even else np.flatnonzero(np.repeat(low > high, lengths))
        flags[whole] = False
        outside = np.flatnonzero(flags)
        left = np.diff(np.searchsorted(outside, series.offsets))
        flags.ravel()[outside] = self._flags(left, series.values[outside])
        if len(undecided):
            flags[whole] = (
                self._take(undecided)._flags(lengths[undecided], values[whole].ravel()).reshape(flags[whole].shape)
            )
        return np.asarray(flags.ravel())

    def _surely_normal(self) -> tuple[Floats, Floats]:
        """Return a range of each sensor in which all values are normal; an empty range where none is known."""
        low, high = np.full(len(self.mean), np.inf), np.full(len(self.mean), -np.inf)
        sensors = np.flatnonzero(self.counts == 2)
        first, second = self.starts[sensors], self.starts[sensors] + 1
        bottom, top = self.support_vectors[first], self.support_vectors[second]
        closed = (self.weights[first] == self.weights[second]) & (top > bottom) & (top - bottom <= CLOSED_FORM_WIDTH)
        for end in (bottom, top):
            closed &= np.abs(self._decide(sensors, end)) <= TIE / 2
        sensors, bottom, top = sensors[closed], bottom[closed], top[closed]
        mean, scale = self.mean[sensors], self.scale[sensors]
        below, above = mean + scale * bottom, mean + scale * top
        # Values so close to the ends that rounding matters are scored.
        margin = 8 * np.spacing(np.maximum(np.abs(mean), np.maximum(np.abs(below), np.abs(above))))
        low[sensors], high[sensors] = below + margin, above - margin
        constant = self.scale == 0
        reach = CONSTANT_TOLERANCE / 2 * np.abs(self.mean[constant])
        low[constant], high[constant] = self.mean[constant] - reach, self.mean[constant] + reach
        return low, high

    def _take(self, sensors: Integers) -> KernelDecision:
        return self._replace(
            mean=self.mean[sensors],
            scale=self.scale[sensors],
            intercept=self.intercept[sensors],
            starts=self.starts[sensors],
            counts=self.counts[sensors],
        )

    def _flags(self, lengths: Integers, values: Floats) -> Flags:
        """Return whether values are anomalous; ``lengths`` has the number of values of each sensor."""
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        return np.asarray(self.raw_scores(Series(offsets, np.zeros(len(values), np.int64), values)) > TIE)

    def normal_ranges(self) -> tuple[Floats, Floats]:
        """Return the lowest and the highest normal value of each sensor, shape ``(n_sensors,)``; NaN if none is normal.

        They are the outermost support vectors where those are on the boundary, as in an exact optimum.
        """
        low, high = self.mean.copy(), self.mean.copy()
        sensors = np.flatnonzero(self.counts)
        if not len(sensors):
            return low, high
        # There may be vectors of sensors without a model in between.
        owned = np.repeat(self.starts[sensors], self.counts[sensors])
        owned += np.arange(len(owned)) - np.repeat(
            np.cumsum(self.counts[sensors]) - self.counts[sensors], self.counts[sensors]
        )
        begins = np.cumsum(self.counts[sensors]) - self.counts[sensors]
        bottom = np.minimum.reduceat(self.support_vectors[owned], begins)
        top = np.maximum.reduceat(self.support_vectors[owned], begins)
        weight = np.add.reduceat(self.weights[owned], begins)
        tied = (np.abs(self._decide(sensors, bottom)) <= TIE) & (np.abs(self._decide(sensors, top)) <= TIE)
        loose = np.flatnonzero(~tied)
        if len(loose):
            bottom[loose], top[loose] = self._search(sensors[loose], bottom[loose], top[loose], weight[loose])
        low[sensors] += self.scale[sensors] * bottom
        high[sensors] += self.scale[sensors] * top
        return low, high

    def _search(self, sensors: Integers, bottom: Floats, top: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Return the outermost standardised values that are normal."""
        # Beyond this distance from the outermost vectors, the function is negative.
        reach = np.sqrt(-np.log(np.minimum(-self.intercept[sensors] / weight, 1.0)) / GAMMA)
        counts = self.counts[sensors]
        slots = np.arange(counts.max())
        vectors = self.support_vectors[
            np.minimum(self.starts[sensors, None] + np.minimum(slots, counts[:, None] - 1), len(self.weights) - 1)
        ]
        grid = np.linspace(bottom - reach, top + reach, _GRID, axis=1)
        grid = np.sort(np.concatenate((grid, vectors), axis=1), axis=1)
        normal = self._decide(np.repeat(sensors, grid.shape[1]), grid.ravel()).reshape(grid.shape) >= -TIE
        every, points = np.arange(len(sensors)), grid.shape[1]
        first, last = normal.argmax(axis=1), points - 1 - normal[:, ::-1].argmax(axis=1)
        low = self._boundary(sensors, grid[every, np.maximum(first - 1, 0)], grid[every, first])
        high = self._boundary(sensors, grid[every, np.minimum(last + 1, points - 1)], grid[every, last])
        nothing = ~normal.any(axis=1)
        low[nothing] = high[nothing] = np.nan
        return low, high

    def _boundary(self, sensors: Integers, outside: Floats, inside: Floats) -> Floats:
        for _ in range(_BISECTIONS):
            middle = (outside + inside) / 2
            normal = self._decide(sensors, middle) >= -TIE
            inside, outside = np.where(normal, middle, inside), np.where(normal, outside, middle)
        return inside

    def _decide(self, sensor: Integers, standardised: Floats) -> Floats:
        """Return the decision function at standardised values of the given sensors; negative for anomalous values."""
        decision = self.intercept[sensor]
        counts = self.counts[sensor]
        for j in range(int(counts.max(initial=0))):
            having = np.flatnonzero(counts > j)
            vector = self.starts[sensor[having]] + j
            distance = standardised[having] - self.support_vectors[vector]
            decision[having] += self.weights[vector] * np.exp(-GAMMA * distance * distance)
        return decision


class _Places:
    """Parameters for scoring, arranged by the position of a support vector in its sensor."""

    EVERY = 2
    """Number of support vectors that are evaluated for every sensor: that of the closed form."""

    def __init__(self, decision: KernelDecision) -> None:
        root = np.sqrt(GAMMA)
        with np.errstate(divide="ignore"):
            self.factor = np.where(decision.scale == 0, 1.0, root / decision.scale)
            logs = np.log(decision.weights)
        self.negative_intercept = -decision.intercept
        self.vectors: list[Floats] = []
        self.log_weights: list[Floats] = []
        for j in range(max(self.EVERY, int(decision.counts.max(initial=0)))):
            having = np.flatnonzero(decision.counts > j)
            at = decision.starts[having] + j
            vector, log_weight = np.zeros(len(decision.counts)), np.full(len(decision.counts), -np.inf)
            vector[having], log_weight[having] = decision.support_vectors[at] * root, logs[at]
            self.vectors.append(vector)
            self.log_weights.append(log_weight)
