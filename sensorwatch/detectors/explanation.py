"""Explanation of an anomalous window: the detectors that found it, and the pattern that would have been normal."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from sensorwatch.errors import InvalidInputError

__all__ = ["MAX_JSON", "Explanation", "MemberScore", "NearestPattern", "explanation_json", "parse_explanation"]

_FIRED = 50


@dataclass(frozen=True, slots=True)
class MemberScore:
    """Score of a window by one detector.

    Attributes
    ----------
    name
        Name of the detector.
    score
        Score of 0-100, rounded down; 50 or more is anomalous.
    weight
        Share of the detector in the decision, 0-1.
    """

    name: str
    score: int
    weight: float

    @property
    def fired(self) -> bool:
        """True if the window is anomalous by this detector alone."""
        return self.score >= _FIRED


@dataclass(frozen=True, slots=True)
class NearestPattern:
    """Normal pattern that is nearest to a window and the windows before it.

    Attributes
    ----------
    found_by
        Name of the detector that has the pattern.
    windows
        Number of windows that the pattern spans, including the window itself.
    step_seconds
        Time between two of ``levels``, the last of which belongs to the window itself.
    low, high
        Lowest and highest value of the pattern, in the sensor's unit.
    levels
        At most 96 values of the pattern, oldest first, in thousandths of the range from ``low`` (0) to ``high`` (1000).
    """

    found_by: str
    windows: int
    step_seconds: int
    low: float
    high: float
    levels: tuple[int, ...]

    def values(self) -> list[float]:
        """Return the values of the pattern in the sensor's unit, oldest first.

        Examples
        --------
        >>> NearestPattern("kmeans", 3, 5, 20.0, 30.0, (0, 1000, 500)).values()
        [20.0, 30.0, 25.0]
        """
        # Not by the difference of both, which may overflow.
        return [self.low * (1 - level / 1000) + self.high * (level / 1000) for level in self.levels]

    def ends(self, end: int) -> list[int]:
        """Return the ends of the windows, the last of which is ``end``, in seconds since 1970-01-01T00:00:00Z."""
        count = len(self.levels)
        return [end - (count - 1 - i) * self.step_seconds for i in range(count)]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of an anomalous window.

    Attributes
    ----------
    detector
        Detector of the sensor's model.
    members
        Scores by the detector's members, the highest first; by the detector itself if it has no members.
    pattern
        Nearest normal pattern; None if no detector has patterns, or too few windows came before.
    """

    detector: str
    members: tuple[MemberScore, ...]
    pattern: NearestPattern | None = None


MAX_JSON = 2000
"""Longest JSON text of an explanation, in characters; a longer one was not written by this system."""


_EXPLANATION = msgspec.json.Decoder(Explanation)


def explanation_json(explanation: Explanation) -> str:
    """Return an explanation as compact JSON of at most 2,000 characters."""
    return msgspec.json.encode(explanation).decode()


def parse_explanation(text: str) -> Explanation:
    """Return the explanation in a JSON text.

    Raises
    ------
    InvalidInputError
        The text is too long or is not an explanation; the message says where it is wrong.
    """
    if len(text) > MAX_JSON:
        raise InvalidInputError(
            f"expected an explanation of at most {MAX_JSON} characters, got {len(text)}: `{text[:80]}`"
        )
    try:
        return _EXPLANATION.decode(text)
    except msgspec.DecodeError as exc:
        raise InvalidInputError(f"expected an explanation as JSON, got `{text[:80]}`: {exc}") from exc
