"""Shapes that signals are composed of, as in a signal generator, and their sums and products.

Noise (:class:`Normal`, :class:`Uniform`), :class:`Step`, :class:`Ramp`, :class:`Pulse`, :class:`RandomPulses`,
:class:`Sinusoid` and :class:`Constant`; the two-state chain is :class:`~sensorwatch.simulation.markov.MarkovSignal`.
:class:`Sum` is the additive model of a signal, :class:`Product` the multiplicative one.

**A value depends only on the seed, the names and the reading's number.** So the values don't depend on how a span is
divided. Times are in seconds since 1970-01-01T00:00:00Z. Equal shapes at different positions in a signal have different
random numbers.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from sensorwatch.simulation.labelled_values import LabelledValues, ReadingSpan
from sensorwatch.simulation.moments import moment
from sensorwatch.simulation.signals import drawn, generator

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = [
    "Constant",
    "Normal",
    "Product",
    "Pulse",
    "Ramp",
    "RandomPulses",
    "Shape",
    "Sinusoid",
    "Step",
    "Sum",
    "Uniform",
]

_CHECKED = ConfigDict(extra="forbid", allow_inf_nan=False)
_SHORTEST_SECONDS = 0.001
_BLOCK_PULSES = 64
_MOST_AT_ONCE = 10

_Seconds = Annotated[float, Field(ge=_SHORTEST_SECONDS)]
_Moment = Annotated[float, BeforeValidator(moment)]


class Shape(Protocol):
    """A signal, or a part of one."""

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, with a mask of those that it marks as anomalous."""
        ...


@dataclass(frozen=True, slots=True, config=_CHECKED)
class Constant:
    """A constant ``value``."""

    value: float

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, none of them marked."""
        return _unmarked(np.full(len(span.seconds), self.value))


@dataclass(frozen=True, slots=True, config=_CHECKED)
class Normal:
    """Normally distributed noise with a ``mean`` and a standard ``deviation``."""

    deviation: Annotated[float, Field(ge=0)] = 1.0
    mean: float = 0.0

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, none of them marked."""
        return _unmarked(self.mean + self.deviation * _noise(span, np.random.Generator.standard_normal))


@dataclass(frozen=True, slots=True, config=_CHECKED)
class Uniform:
    """Uniformly distributed noise, ``low <= value < high``."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.high < self.low:
            raise ValueError(f"expected `low` not above `high`, got `{self.low}` and `{self.high}`")

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, none of them marked."""
        return _unmarked(self.low + (self.high - self.low) * _noise(span, np.random.Generator.random))


@dataclass(frozen=True, slots=True, config=_CHECKED)
class Step:
    """The value ``before`` until the time ``at``, and ``after`` from that time on."""

    at: _Moment
    before: float = 0.0
    after: float = 1.0

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, none of them marked."""
        return _unmarked(np.where(span.seconds < self.at, self.before, self.after))


@dataclass(frozen=True, slots=True, config=_CHECKED)
class Ramp:
    """The value ``before`` until the time ``begin``, then a straight line to ``after`` at ``end``, then ``after``."""

    begin: _Moment
    end: _Moment
    before: float = 0.0
    after: float = 1.0

    def __post_init__(self) -> None:
        if self.end <= self.begin:
            raise ValueError("expected `end` after `begin`; use a `step` for a sudden change")

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, none of them marked."""
        return _unmarked(np.interp(span.seconds, (self.begin, self.end), (self.before, self.after)))


@dataclass(frozen=True, slots=True, config=_CHECKED)
class Pulse:
    """The value ``height`` during a pulse, otherwise ``rest``.

    Attributes
    ----------
    begin
        Start of the (first) pulse, inclusive.
    seconds
        Length of the pulse, in seconds; its end is exclusive.
    every_seconds
        Interval, in seconds, at which the pulse repeats for ever; None: no repetition.
    height, rest
        Values during and outside the pulse.
    anomalous
        True to mark readings in the pulse as anomalous.
    """

    begin: _Moment
    seconds: _Seconds
    every_seconds: _Seconds | None = None
    height: float = 1.0
    rest: float = 0.0
    anomalous: bool = False

    def __post_init__(self) -> None:
        if self.every_seconds is not None and self.every_seconds <= self.seconds:
            raise ValueError(f"expected `every_seconds` above `seconds` ({self.seconds}), got `{self.every_seconds}`")

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, with those in a pulse marked if it is anomalous."""
        since = span.seconds - self.begin
        on = (since >= 0) & ((since if self.every_seconds is None else since % self.every_seconds) < self.seconds)
        return _pulsed(on, self.height, self.rest, self.anomalous)


@dataclass(frozen=True, slots=True, config=_CHECKED)
class RandomPulses:
    """The value ``height`` during pulses at random times, otherwise ``rest``.

    Pulses begin independently of each other, on average one every ``every_seconds``. Their lengths are uniformly
    distributed from ``shortest_seconds`` to ``longest_seconds``. Overlapping pulses are one longer pulse. So the share
    of time in pulses is ``1 - exp(-(shortest_seconds + longest_seconds) / 2 / every_seconds)``.

    Source of that share: the busy probability of a queue with infinitely many servers, M/G/∞; L. Takács, Introduction
    to the Theory of Queues (1962), chapter 3.

    Attributes
    ----------
    every_seconds
        Mean time between the beginnings of two pulses, in seconds.
    shortest_seconds, longest_seconds
        Range of the length of a pulse, in seconds.
    height, rest
        Values during and outside pulses.
    anomalous
        True to mark readings in pulses as anomalous.
    """

    every_seconds: _Seconds
    shortest_seconds: _Seconds
    longest_seconds: _Seconds
    height: float = 1.0
    rest: float = 0.0
    anomalous: bool = True

    def __post_init__(self) -> None:
        if self.longest_seconds < self.shortest_seconds:
            raise ValueError(
                f"expected `shortest_seconds` not above `longest_seconds`, got `{self.shortest_seconds}` and "
                f"`{self.longest_seconds}`"
            )
        if self.longest_seconds > _MOST_AT_ONCE * self.every_seconds:
            raise ValueError(
                f"expected `longest_seconds` of at most {_MOST_AT_ONCE} times `every_seconds` "
                f"({self.every_seconds}), got `{self.longest_seconds}`; longer pulses would never end"
            )

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, with those in a pulse marked if pulses are anomalous."""
        if not len(span.seconds):
            return _unmarked(np.empty(0))
        begins, ends = self._pulses(float(span.seconds[0]), float(span.seconds[-1]), span.names)
        on = np.searchsorted(begins, span.seconds, "right") > np.searchsorted(ends, span.seconds, "right")
        return _pulsed(on, self.height, self.rest, self.anomalous)

    def _pulses(self, first: float, last: float, names: tuple[int, *tuple[str | int, ...]]) -> tuple[Floats, Floats]:
        """Return the beginnings and the ends of pulses, each ascending.

        All pulses that overlap ``first`` to ``last`` are included, and some others. Time is divided into blocks, each
        with its own random generator.
        """
        block_seconds = _BLOCK_PULSES * self.every_seconds
        begins, lengths = [], []
        for block in range(
            math.floor((first - self.longest_seconds) / block_seconds), math.floor(last / block_seconds) + 1
        ):
            rng = generator(*names, "pulses", block)
            count = rng.poisson(_BLOCK_PULSES)
            begins.append(block_seconds * (block + rng.random(count)))
            lengths.append(rng.uniform(self.shortest_seconds, self.longest_seconds, count))
        begin = np.concatenate(begins)
        return np.sort(begin), np.sort(begin + np.concatenate(lengths))


@dataclass(frozen=True, slots=True, config=_CHECKED)
class Sinusoid:
    """A sine around zero with an ``amplitude``, rising through zero at the time ``begin``."""

    period_seconds: _Seconds
    amplitude: float = 1.0
    begin: _Moment = 0.0

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, none of them marked."""
        turns = (span.seconds - self.begin) / self.period_seconds
        return _unmarked(self.amplitude * np.sin(math.tau * (turns % 1)))


@dataclasses.dataclass(frozen=True, slots=True)
class Sum:
    """Sum of parts (additive model). A reading is marked if any part marks it."""

    parts: tuple[Shape, ...]

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, with those marked that any part marks."""
        return _combined(self.parts, span, np.add, 0.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Product:
    """Product of parts (multiplicative model). A reading is marked if any part marks it.

    Examples
    --------
    >>> span = ReadingSpan(0, np.arange(5.0), (1, "press-1", "load"))
    >>> Product((Constant(2), Ramp(begin=0, end=4))).over(span).values.tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """

    parts: tuple[Shape, ...]

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, with those marked that any part marks."""
        return _combined(self.parts, span, np.multiply, 1.0)


def _combined(parts: tuple[Shape, ...], span: ReadingSpan, combine: np.ufunc, neutral: float) -> LabelledValues:
    values, anomalous = _unmarked(np.full(len(span.seconds), neutral))
    for number, part in enumerate(parts):
        own = part.over(span.inside(number))
        values, anomalous = combine(values, own.values), anomalous | own.anomalous
    return LabelledValues(values, anomalous)


def _noise(span: ReadingSpan, draw: Callable[[np.random.Generator, int], Floats]) -> Floats:
    return drawn(span.first, len(span.seconds), draw, *span.names, "noise")


def _pulsed(on: Flags, height: float, rest: float, anomalous: bool) -> LabelledValues:
    return LabelledValues(np.where(on, height, rest), on & anomalous)


def _unmarked(values: Floats) -> LabelledValues:
    return LabelledValues(values, np.zeros(len(values), np.bool_))
