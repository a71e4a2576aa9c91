"""Explanations of anomalies in words, and as the JSON that prediction files and the database hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensorwatch.alerts.records import Anomaly
    from sensorwatch.detectors.explanation import Explanation

__all__ = ["MOST_TEXT", "explanation_text"]

MOST_TEXT = 400
"""Characters of a text at most."""

_NAMED = 3
"""Detectors that are named; several others are counted."""

_USUAL_DECIMALS = 3
_MOST_DECIMALS = 6
_MORE_DECIMALS = 5
_LONGEST_WHOLE = 1e9
_MOST_DIGITS = 9
"""Of numbers that are too large or too small to be written out."""


def explanation_text(anomaly: Anomaly) -> str:
    """Return in one sentence why a window is anomalous; empty where nothing is known but that it is.

    Examples
    --------
    >>> from sensorwatch.detectors.explanation import MemberScore
    >>> members = (MemberScore("ar_season", 93, 0.5), MemberScore("shift", 71, 0.3), MemberScore("ewma", 12, 0.2))
    >>> anomaly = Anomaly(0, 60, 25.31, 92.0, "high", 19.4, 20.9, "v", expected_value=20.1,
    ...                   explanation=Explanation("auto", members))
    >>> explanation_text(anomaly)
    '25.3 where 20.1 (19.4 to 20.9) was expected; found by ar_season (score 93) and shift (71), 2 of 3 members.'
    """
    parts = [_values(anomaly)]
    if anomaly.explanation is not None:
        parts += [_finders(anomaly.explanation), _pattern(anomaly.explanation)]
    known = [part for part in parts if part]
    return f"{'; '.join(known)}."[:MOST_TEXT] if known else ""


def _values(anomaly: Anomaly) -> str:
    """Return what was and what was expected; empty where nothing was."""
    value, expected, low, high = anomaly.value, anomaly.expected_value, anomaly.expected_low, anomaly.expected_high
    if low is None and high is None:
        return "" if expected is None else f"{_near(value, expected)} where {_near(expected, value)} was expected"
    decimals = _decimals(value, low, high)
    printed = {each: _printed(each, decimals) for each in (value, expected, low, high) if each is not None}
    if low is None or high is None:
        band = f"at least {printed[low]}" if low is not None else f"at most {printed[high or 0.0]}"
    else:
        band = f"{printed[low]} to {printed[high]}"
    if _within(value, low, high):
        return f"{printed[value]}, which is within the expected {band}"
    if expected is None:
        return f"{printed[value]} where {band} was expected"
    return f"{printed[value]} where {printed[expected]} ({band}) was expected"


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _finders(explanation: Explanation) -> str:
    fired = [each for each in explanation.members if each.fired]
    count = len(explanation.members)
    if count == 1:
        return f"found by {explanation.members[0].name} (score {explanation.members[0].score})"
    if not fired:
        return f"none of the {count} members finds it by itself, all together do"
    shown = fired if len(fired) <= _NAMED + 1 else fired[:_NAMED]
    named = [f"{each.name} ({'' if i else 'score '}{each.score})" for i, each in enumerate(shown)]
    if len(fired) > len(shown):
        named.append(f"{len(fired) - len(shown)} more")
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"found by {listed}, {len(fired)} of {count} members"


def _pattern(explanation: Explanation) -> str:
    pattern = explanation.pattern
    if pattern is None or not any(each.fired and each.name == pattern.found_by for each in explanation.members):
        return ""
    return f"the last {pattern.windows} windows are unlike any usual pattern"


def _near(value: float, other: float) -> str:
    return _printed(value, _decimals(value, other, other))


def _decimals(value: float, low: float | None, high: float | None) -> int:
    """Return with how many decimals numbers tell apart what matters: the width, and how far off the value is."""
    ends = [each for each in (low, high) if each is not None]
    spread = max([ends[-1] - ends[0], *(abs(value - each) for each in ends)])
    if not math.isfinite(spread) or spread <= 0:
        return _USUAL_DECIMALS
    decimals = least = max(0, 1 - math.floor(math.log10(spread)))
    # What lies outside has to look like it.
    while decimals < least + _MORE_DECIMALS and any(
        each != value and _printed(each, decimals) == _printed(value, decimals) for each in ends
    ):
        decimals += 1
    return decimals


def _printed(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return f"{value:g}"
    if decimals <= _MOST_DECIMALS and abs(value) < _LONGEST_WHOLE:
        # Adding zero makes of minus zero a zero.
        return f"{round(value, decimals) + 0.0:.{decimals}f}"
    if value == 0:
        return "0"
    digits = decimals + 1 + math.floor(math.log10(abs(value)))
    return f"{value:.{min(max(digits, 1), _MOST_DIGITS)}g}"
