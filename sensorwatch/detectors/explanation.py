"""Why a window was called anomalous: who found it, and what would have been usual."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from sensorwatch.errors import InvalidInputError

__all__ = ["MOST_JSON", "Explanation", "MemberScore", "NearestPattern", "explanation_json", "parse_explanation"]

_FIRED = 50


@dataclass(frozen=True, slots=True)
class MemberScore:
    """What one detector says of a window.

    Attributes
    ----------
    name
        The detector's.
    score
        0-100, rounded down: 50 or more is anomalous.
    weight
        Its share in the decision, 0-1.
    """

    name: str
    score: int
    weight: float

    @property
    def fired(self) -> bool:
        """Whether it finds the window anomalous by itself."""
        return self.score >= _FIRED


@dataclass(frozen=True, slots=True)
class NearestPattern:
    """The usual pattern that comes nearest to a window and those before it.

    Attributes
    ----------
    found_by
        The detector that knows it.
    windows
        How many windows it spans, the window itself among them.
    step_seconds
        Between two of ``levels``; the last one is the window's.
    low, high
        Its lowest and its highest value, in the sensor's unit.
    levels
        Its course, oldest first, in thousandths of the way from ``low`` to ``high``; 96 at most.
    """

    found_by: str
    windows: int
    step_seconds: int
    low: float
    high: float
    levels: tuple[int, ...]

    def values(self) -> list[float]:
        """Return the course in the sensor's unit, oldest first.

        Examples
        --------
        >>> NearestPattern("kmeans", 3, 5, 20.0, 30.0, (0, 1000, 500)).values()
        [20.0, 30.0, 25.0]
        """
        # Not by the difference of both, which may be beyond all numbers.
        return [self.low * (1 - level / 1000) + self.high * (level / 1000) for level in self.levels]

    def ends(self, end: int) -> list[int]:
        """Return when its windows end, where the last one is at ``end``; in seconds since 1970-01-01T00:00:00Z."""
        count = len(self.levels)
        return [end - (count - 1 - i) * self.step_seconds for i in range(count)]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a window is anomalous.

    Attributes
    ----------
    detector
        What made the sensor's model.
    members
        What the detectors say that it is made of, the highest score first; of one that stands alone, itself.
    pattern
        The nearest usual pattern; None where no detector knows patterns, or too little is known of the windows before.
    """

    detector: str
    members: tuple[MemberScore, ...]
    pattern: NearestPattern | None = None


MOST_JSON = 2000
"""Longest JSON text of an explanation, in characters; a longer one was not written by this system."""


_EXPLANATION = msgspec.json.Decoder(Explanation)


def explanation_json(explanation: Explanation) -> str:
    """Return an explanation as compact JSON, of 2,000 characters at most."""
    return msgspec.json.encode(explanation).decode()


def parse_explanation(text: str) -> Explanation:
    """Return the explanation in a JSON text.

    Raises
    ------
    InvalidInputError
        It is not one; says where it is wrong.
    """
    if len(text) > MOST_JSON:
        raise InvalidInputError(
            f"expected an explanation of at most {MOST_JSON} characters, got {len(text)}: `{text[:80]}`"
        )
    try:
        return _EXPLANATION.decode(text)
    except msgspec.DecodeError as exc:
        raise InvalidInputError(f"expected an explanation as JSON, got `{text[:80]}`: {exc}") from exc
