"""Two-state Markov chains that label what they emit: the load of a processor that is busy now and then.

A chain is in one of two states, normal (0) and anomalous (1). Every ``steps_per_change`` values it may change, with the
probabilities of a transition matrix, and in each state it emits normally distributed values of that state's own mean
and standard deviation. The defaults are those of the signal that Lightbend's anomaly detection for a processor's load
is trained on.

**A value follows from the seed, the sensor's name and the value's number alone**, so a range gives the same values
however it is cut. For that the state has to be known in the middle of nowhere. Each change draws one uniform number and
takes the state to 1 if it is below the probability of that. Below both states' probabilities, or not below either, the
draw decides whatever the state was. So one goes back to the newest draw of that kind, and from there on forward: the
state is exactly that of a chain that has been running for ever.

Source of going back: J. G. Propp, D. B. Wilson, Exact sampling with coupled Markov chains, Random Structures and
Algorithms 9 (1996), 223-252.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from sensorwatch.errors import InvalidInputError
from sensorwatch.simulation.labelled_values import LabelledValues
from sensorwatch.simulation.signals import drawn

if TYPE_CHECKING:
    import numpy.typing as npt
    from pydantic import ConfigDict

    from sensorwatch.simulation.labelled_values import ReadingSpan

    Floats = npt.NDArray[np.float64]
    Names = tuple[int, *tuple[str | int, ...]]

__all__ = ["Emission", "MarkovSignal"]

_FARTHER_BACK = 4096


class Emission(NamedTuple):
    """What a state emits: the mean and the standard deviation of its values."""

    mean: float
    deviation: float


_NORMAL = Emission(0.3, 0.15)
_ANOMALOUS = Emission(0.6, 0.1)


@dataclass(frozen=True, slots=True)
class MarkovSignal:
    """A chain.

    Attributes
    ----------
    transitions
        Row by row, from which state the chain comes, the probabilities of normal and anomalous next.
    normal, anomalous
        What the two states emit.
    steps_per_change
        How many values are emitted between two changes of state.

    Raises
    ------
    InvalidInputError
        A row is no distribution, the chain never forgets its state, or another number is out of its range.

    Examples
    --------
    >>> drawn = MarkovSignal().emit(0, 6, seed=1, device="cpu-1", tag="load")
    >>> drawn.values.round(2).tolist(), drawn.anomalous.tolist()
    ([0.54, 0.56, 0.19, 0.64, 0.58, 0.58], [False, False, False, True, True, True])
    """

    transitions: tuple[tuple[float, float], tuple[float, float]] = ((0.9, 0.1), (0.5, 0.5))
    normal: Emission = _NORMAL
    anomalous: Emission = _ANOMALOUS
    steps_per_change: int = 3
    # What a file says of a chain is held to the fields, as it is of every other piece of a composed signal.
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for row in self.transitions:
            if min(row) < 0 or abs(sum(row) - 1) > 1e-9:
                raise InvalidInputError(f"transitions: expected rows of probabilities that sum to 1, got `{row}`")
        low, high = sorted(row[1] for row in self.transitions)
        if low == 0 and high == 1:
            raise InvalidInputError(
                f"transitions: expected a chain that forgets where it began, got `{self.transitions}`, which goes on "
                "from its first state for ever"
            )
        if not all(map(math.isfinite, (*self.normal, *self.anomalous))):
            raise InvalidInputError(
                f"expected finite means and deviations, got `{tuple(self.normal)}` and `{tuple(self.anomalous)}`"
            )
        if min(self.normal.deviation, self.anomalous.deviation) < 0:
            raise InvalidInputError(
                f"deviations must not be negative, got `{self.normal.deviation}` and `{self.anomalous.deviation}`"
            )
        if self.steps_per_change < 1:
            raise InvalidInputError(f"steps_per_change must be at least 1, got `{self.steps_per_change}`")

    def emit(self, first: int, count: int, *, seed: int, device: str, tag: str) -> LabelledValues:
        """Return a sensor's values number ``first`` up to, not including, ``first + count``; numbers may be negative.

        Parameters
        ----------
        first, count
            Which values.
        seed
            Decides everything random.
        device, tag
            The sensor's names: each has a chain of its own.
        """
        return self._emit(first, count, (seed, "markov", device, tag))

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, as a piece of a composed signal."""
        return self._emit(span.first, len(span.seconds), (*span.names, "markov"))

    def _emit(self, first: int, count: int, names: Names) -> LabelledValues:
        if not count:
            return LabelledValues(np.empty(0), np.empty(0, np.bool_))
        first_change, last_change = first // self.steps_per_change, (first + count - 1) // self.steps_per_change
        states = self._states(first_change, last_change + 1 - first_change, names)
        changes = np.arange(first, first + count) // self.steps_per_change - first_change
        anomalous = states[changes]
        noise = drawn(first, count, np.random.Generator.standard_normal, *names, "noise")
        mean = np.where(anomalous, self.anomalous.mean, self.normal.mean)
        return LabelledValues(mean + np.where(anomalous, *_deviations(self)) * noise, anomalous)

    def _states(self, first: int, count: int, names: Names) -> npt.NDArray[np.bool_]:
        """Return whether the chain is anomalous after each of these changes."""
        from_normal, from_anomalous = (row[1] for row in self.transitions)
        low, high = sorted((from_normal, from_anomalous))
        flips = from_normal > from_anomalous
        back = 0
        while True:
            uniform = drawn(first - back, count + back, np.random.Generator.random, *names, "changes")
            decided = (uniform < low) | (uniform >= high)
            if decided[: back + 1].any():
                break
            back = max(2 * back, _FARTHER_BACK)
        position = np.arange(len(uniform))
        newest = np.maximum.accumulate(np.where(decided, position, -1))
        states = (uniform < low)[newest]
        if flips:
            states = states ^ ((position - newest) % 2 == 1)
        # Before the first draw that decides the state is not known; that draw is at or before the first wanted change.
        return states[back:]


def _deviations(signal: MarkovSignal) -> tuple[float, float]:
    return signal.anomalous.deviation, signal.normal.deviation
