"""Two-state Markov chains that label their values, such as the load of a processor that is sometimes busy.

A chain is in one of two states, normal (0) or anomalous (1). It may change its state every ``steps_per_change`` values,
with the probabilities of a transition matrix. In each state it emits normally distributed values with the mean and the
standard deviation of that state. The defaults are those of the signal on which Lightbend's anomaly detection for the
load of processors is trained.

**A value depends only on the seed, the sensor's name and the value's number.** So the values don't depend on how a
range is divided, and the state has to be computed without simulating the chain from its beginning. Each step draws a
uniform number, and the next state is 1 if the number is below the probability of state 1. If the number is below this
probability for both states, or for neither, it determines the next state alone. So the search goes back to the newest
such number and follows the chain forward from there. The result is exactly the state of a chain without a beginning.

Source of this method: J. G. Propp, D. B. Wilson, Exact sampling with coupled Markov chains, Random Structures and
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
    """Mean and standard deviation of the values in a state."""

    mean: float
    deviation: float


_NORMAL = Emission(0.3, 0.15)
_ANOMALOUS = Emission(0.6, 0.1)


@dataclass(frozen=True, slots=True)
class MarkovSignal:
    """A two-state Markov chain.

    Attributes
    ----------
    transitions
        One row for each state, normal first: the probabilities that the next state is normal or anomalous.
    normal, anomalous
        Distributions of the values in the two states.
    steps_per_change
        Number of values between two possible changes of state.

    Raises
    ------
    InvalidInputError
        A row is not a distribution, the chain never forgets its first state, or another number is out of range.

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
    # As in all shapes of a composed signal, unknown fields in a file are errors.
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for row in self.transitions:
            if min(row) < 0 or abs(sum(row) - 1) > 1e-9:
                raise InvalidInputError(f"transitions: expected rows of probabilities that sum to 1, got `{row}`")
        low, high = sorted(row[1] for row in self.transitions)
        if low == 0 and high == 1:
            raise InvalidInputError(
                f"transitions: expected a chain that forgets its first state, got `{self.transitions}`, whose first "
                "state determines all others"
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
        """Return consecutive values of a sensor.

        Parameters
        ----------
        first
            Number of the first value; may be negative.
        count
            Number of values.
        seed
            Seed of all random numbers.
        device, tag
            The sensor. Random numbers differ from sensor to sensor.
        """
        return self._emit(first, count, (seed, "markov", device, tag))

    def over(self, span: ReadingSpan) -> LabelledValues:
        """Return the values of readings, as a shape in a composed signal."""
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
        """Return True for each of these changes after which the chain is anomalous, shape ``(count,)``."""
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
        # States before the first deciding draw are unknown; that draw is not after the first wanted change.
        return states[back:]


def _deviations(signal: MarkovSignal) -> tuple[float, float]:
    return signal.anomalous.deviation, signal.normal.deviation
