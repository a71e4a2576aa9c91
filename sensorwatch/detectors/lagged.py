"""Base class of detectors that judge the pattern of a window and the windows just before it.

Values are centred and scaled by the sensor's median and quartiles in training. Patterns are made by
:mod:`~sensorwatch.detectors.windowing.lags`. The checkpoint holds the last windows that the next pattern may begin
with, in the sensor's unit.

An outlier in a single window is part of the patterns of the next windows, too, and would make all of them anomalous. A
detector can therefore skip **isolated** values, which are more than five typical steps above or below both neighbours.
In the pattern that ends with it, such a value is not replaced.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from sensorwatch.detectors.base import CHECKPOINT, Advanced, Expected, Fitted, StatefulDetector, fit_each
from sensorwatch.detectors.windowing.lags import median_step, patterns, without_isolated
from sensorwatch.detectors.windowing.robust import center_and_scale
from sensorwatch.detectors.windowing.rows import ParameterRows
from sensorwatch.detectors.windowing.summary import Summary
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

    from sensorwatch.detectors.windowing.series import Series

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    _RowAndPast = tuple[dict[str, Any] | None, "Past"]

__all__ = ["Lagged", "Past", "pasts"]

_MAX_SCALED = 1e6
"""Scaled values are clipped here, so that products of them do not overflow."""

_ISOLATED_STEPS = 5.0
_MIN_PATTERNS = 32
_PATTERNS_AT_ONCE = 2048
"""Copies of so many patterns fit in the processor's cache."""

_MIN_SCORE = 1e-3
"""In scaled units; lower scores differ from 0 by rounding only."""

_CHECKPOINT = pa.struct(
    [
        pa.field("as_of", pa.int64()),
        pa.field("times", pa.list_(pa.int64())),
        pa.field("values", pa.list_(pa.float64())),
    ]
)


class Past(NamedTuple):
    """Finite windows of one sensor: those of its checkpoint, then the ``new`` windows of the series."""

    times: Integers
    values: Floats
    new: int


class _Band(NamedTuple):
    """Expected values of windows, filled step by step.

    Attributes
    ----------
    columns
        Expected value, lower and upper end, shape ``(3, n_values)``.
    limits
        Highest normal raw score of each window's sensor, shape ``(n_values,)``.
    """

    columns: Floats
    limits: Floats

    @classmethod
    def empty(cls, series: Series, threshold: Floats) -> _Band:
        return cls(np.full((3, len(series.values)), np.nan), np.repeat(threshold, series.lengths))


class Lagged(StatefulDetector):
    """A detector of patterns; a subclass defines what is fitted to them and how they are measured.

    Attributes
    ----------
    size
        Number of steps in a pattern.
    fields
        Parameters of the subclass, in addition to those of all detectors of patterns.
    skips_isolated
        Whether isolated values count only in the pattern that ends with them.
    """

    size: int
    fields: ClassVar[tuple[pa.Field, ...]]
    skips_isolated = False

    @abstractmethod
    def _fit_patterns(self, found: Floats) -> dict[str, Any]:
        """Return the parameters of the subclass for training patterns, shape ``(n_patterns, size)``."""

    @abstractmethod
    def _measure(self, row: Mapping[str, Any], found: Floats) -> Floats:
        """Return the raw score, at least 0, of each pattern of scaled values, shape ``(n_patterns,)``."""

    def _expect(self, row: Mapping[str, Any], found: Floats, limit: Floats) -> tuple[Floats, Floats]:
        """Return the expected last value of each pattern, and how far off it may lie; for detectors with bands.

        ``limit`` is the highest normal raw score of each pattern; all arrays have shape ``(n_patterns,)``.
        """
        raise NotImplementedError

    def _base(self, row: Mapping[str, Any], past: Past) -> Floats:
        """Return the values that scaled values are measured from, shape ``(n_windows,)``."""
        return np.full(len(past.times), row["center"])

    def _scaled(self, row: Mapping[str, Any], past: Past) -> Floats:
        scaled: Floats = (past.values - self._base(row, past)) / row["scale"]
        return np.clip(scaled, -_MAX_SCALED, _MAX_SCALED, out=scaled)

    def _prepare(self, past: Past) -> dict[str, Any]:
        """Return step, center and scale of training windows, in the sensor's unit."""
        center, scale = center_and_scale(past.values)
        return {"step": median_step(past.times), "center": center, "scale": scale}

    @property
    def _type(self) -> pa.DataType:
        common = [pa.field("step", pa.int64())]
        common += [pa.field(name, pa.float64()) for name in ("center", "scale", "isolated")]
        return pa.struct([*common, *self.fields, pa.field(CHECKPOINT, _CHECKPOINT)])

    def fit(self, series: Series) -> Fitted:
        """Fit one model per sensor; see :meth:`~sensorwatch.detectors.base.Detector.fit`."""
        finite = series.finite()
        return fit_each(finite, self._fit_one, self._type, Summary.of(finite).reasons())

    def _fit_one(self, series: Series) -> dict[str, Any]:
        past = Past(series.times, series.values, 0)
        row = self._prepare(past)
        scaled = self._scaled(row, past)
        row["isolated"] = _isolated(scaled) if self.skips_isolated else np.inf
        found = patterns(past.times, without_isolated(scaled, row["isolated"]), row["step"], self.size)
        if len(found.values) < _MIN_PATTERNS:
            raise InvalidInputError(
                f"a model needs at least {_MIN_PATTERNS} stretches of {self.size} windows without long gaps, "
                f"got {len(found.values)}"
            )
        row |= self._fit_patterns(_ending(found.values, scaled[found.window]))
        return row | {CHECKPOINT: _checkpoint(past, self.size)}

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        """Return the raw scores of patterns; see :meth:`~sensorwatch.detectors.base.Detector.score`."""
        return self._scores(params, series, pasts(params, series))

    def advance(self, params: pa.StructArray, series: Series, threshold: Floats | None = None) -> Advanced:
        """Return scores, checkpoints and expected values; see :meth:`~sensorwatch.detectors.base.Detector.advance`."""
        known = list(pasts(params, series))
        band = None if threshold is None or not self.has_bands else _Band.empty(series, threshold)
        raw = self._scores(params, series, known, band)
        checkpoints = [
            None if row is None else _checkpoint(past, self.size) if past.new else row[CHECKPOINT]
            for row, past in known
        ]
        return Advanced(raw, pa.array(checkpoints, _CHECKPOINT), band and Expected(*band.columns))

    def expected(self, params: pa.StructArray, series: Series, threshold: Floats) -> Expected | None:
        """Return predictions from the windows before; see :meth:`~sensorwatch.detectors.base.Detector.expected`."""
        if not self.has_bands:
            return None
        band = _Band.empty(series, threshold)
        for row, place, found in self._found(series, pasts(params, series)):
            self._fill(band, series, row, place, found)
        return Expected(*band.columns)

    def _scores(
        self, params: pa.StructArray, series: Series, known: Iterable[_RowAndPast], band: _Band | None = None
    ) -> Floats:
        """Return the raw scores; fill a band in the same pass."""
        raw = np.full(len(series.values), np.nan)
        for row, place, found in self._found(series, known):
            raw[place] = self._measure(row, found)
            if band is not None:
                self._fill(band, series, row, place, found)
        raw[raw < _MIN_SCORE] = 0.0
        fitted = np.repeat(params.is_valid().to_numpy(zero_copy_only=False), series.lengths)
        raw[np.isinf(series.values) & fitted] = np.inf
        return raw

    def _fill(self, band: _Band, series: Series, row: Mapping[str, Any], place: Integers, found: Floats) -> None:
        value, reach = self._expect(row, found, band.limits[place])
        own = Past(series.times[place], series.values[place], len(place))
        cut = np.abs(found[:, -1]) >= _MAX_SCALED
        # Computed from the window's value where that is not clipped, which saves a second call of _base.
        value = (
            self._base(row, own) + row["scale"] * value
            if cut.any()
            else own.values - row["scale"] * (found[:, -1] - value)
        )
        reach = row["scale"] * reach
        band.columns[:, place] = value, value - reach, value + reach

    def _found(
        self, series: Series, past_windows: Iterable[_RowAndPast]
    ) -> Iterator[tuple[dict[str, Any], Integers, Floats]]:
        """Yield parameters, places in the series, and the patterns that end there, a part of a sensor at a time.

        Parameters
        ----------
        series
            The series.
        past_windows
            Parameters and windows of each sensor, as :func:`pasts` yields them.
        """
        for i, (row, past) in enumerate(past_windows):
            if row is None or not past.new:
                continue
            own = slice(int(series.offsets[i]), int(series.offsets[i + 1]))
            finite = own.start + np.flatnonzero(np.isfinite(series.values[own]))
            scaled = self._scaled(row, past)
            found = patterns(past.times, without_isolated(scaled, row["isolated"]), row["step"], self.size)
            known = len(past.times) - past.new
            begin = int(np.searchsorted(found.window, known))
            for first in range(begin, len(found.window), _PATTERNS_AT_ONCE):
                part = slice(first, first + _PATTERNS_AT_ONCE)
                window = found.window[part]
                yield row, finite[window - known], _ending(found.values[part], scaled[window])


def pasts(params: pa.StructArray, series: Series) -> Iterator[_RowAndPast]:
    """Yield the parameters and the windows of each sensor, with those of its checkpoint if they continue from it."""
    for i, row in enumerate(ParameterRows(params)):
        own = slice(int(series.offsets[i]), int(series.offsets[i + 1]))
        times, values = series.times[own], series.values[own]
        continued = row is not None and len(times) > 0 and times[0] > row[CHECKPOINT]["as_of"]
        finite = np.isfinite(values)
        if not finite.all():
            times, values = times[finite], values[finite]
        new = len(times)
        if row is not None and continued:
            times = np.concatenate((row[CHECKPOINT]["times"], times))
            values = np.concatenate((row[CHECKPOINT]["values"], values))
        yield row, Past(times, values, new)


def _isolated(scaled: Floats) -> float:
    """Return by how much isolated values differ from both neighbours; infinity for a sensor that is mostly constant."""
    usual = float(np.median(np.abs(np.diff(scaled)))) if len(scaled) > 1 else 0.0
    return _ISOLATED_STEPS * usual or np.inf


def _ending(found: Floats, last: Floats) -> Floats:
    """Return a copy of patterns with other last values; in overlapping arrays, matrix products would be slow."""
    ending = np.array(found, order="C")
    ending[:, -1] = last
    return ending


def _checkpoint(past: Past, size: int) -> dict[str, Any]:
    kept = slice(max(0, len(past.times) - size), None)
    return {"as_of": int(past.times[-1]), "times": past.times[kept], "values": past.values[kept]}
