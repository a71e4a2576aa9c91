"""Explanations of anomalies in plain words, for people on call.

Names and scores of detectors are not part of the text; :class:`sensorwatch.detectors.explanation.Explanation` has them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensorwatch.alerts.records import Anomaly
    from sensorwatch.detectors.explanation import Explanation, MemberScore

__all__ = ["MOST_TEXT", "explanation_text"]

MOST_TEXT = 400
"""Largest number of characters of a text."""

_MOST_SIGNS = 3
_OUTSIDE = "the value is outside its usual range"
_PATTERN = "the recent values form an unusual pattern"
_SIGNS = {
    "ar_season": "the value departs from its forecast",
    "ewma": "the value is far from its recent average",
    "kmeans": _PATTERN,
    "ocsvm": _OUTSIDE,
    "ocsvm_sklearn": _OUTSIDE,
    "pca_maha": _PATTERN,
    "range": _OUTSIDE,
    "shift": "the level has shifted",
    "variation": "the value varies more or less than usual",
}
"""Sign of an anomaly that each detector finds."""

_OTHER_SIGN = "the value is unlike normal data"
"""Sign that a model of the user finds."""

_USUAL_DECIMALS = 3
_MOST_DECIMALS = 6
_MORE_DECIMALS = 5
_LONGEST_WHOLE = 1e9
_MOST_DIGITS = 9
"""Significant digits of numbers in scientific notation."""


def explanation_text(anomaly: Anomaly) -> str:
    """Return one sentence that says why a window is anomalous; empty if nothing is known about it.

    Examples
    --------
    >>> from sensorwatch.alerts.records import Anomaly
    >>> from sensorwatch.detectors.explanation import Explanation, MemberScore
    >>> members = (MemberScore("ar_season", 93, 0.5), MemberScore("shift", 71, 0.3), MemberScore("ewma", 12, 0.2))
    >>> anomaly = Anomaly(0, 60, 25.31, 92.0, "high", 19.4, 20.9, "v", expected_value=20.1,
    ...                   explanation=Explanation("auto", members))
    >>> explanation_text(anomaly)
    '25.3 where 20.1 (19.4 to 20.9) was expected; the value departs from its forecast and the level has shifted.'
    """
    parts = [_values(anomaly)]
    if anomaly.explanation is not None:
        parts.append(_signs(anomaly.explanation))
    known = [part for part in parts if part]
    return f"{'; '.join(known)}."[:MOST_TEXT] if known else ""


def _values(anomaly: Anomaly) -> str:
    """Return the value and what was expected; empty if nothing was expected."""
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


def _signs(explanation: Explanation) -> str:
    """Return the signs that the detectors found, the strongest first."""
    members = explanation.members
    found = list(dict.fromkeys(_sign(each, explanation) for each in members if each.fired or len(members) == 1))
    if not found:
        return "only several weak signs together show it"
    shown = found[:_MOST_SIGNS]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _sign(member: MemberScore, explanation: Explanation) -> str:
    pattern = explanation.pattern
    if pattern is not None and pattern.found_by == member.name and member.fired:
        return f"the last {pattern.windows} windows are unlike any usual pattern"
    return _SIGNS.get(member.name, _OTHER_SIGN)


def _near(value: float, other: float) -> str:
    return _printed(value, _decimals(value, other, other))


def _decimals(value: float, low: float | None, high: float | None) -> int:
    """Return the number of decimals that shows the width of the range and the distance of the value from it."""
    ends = [each for each in (low, high) if each is not None]
    spread = max([ends[-1] - ends[0], *(abs(value - each) for each in ends)])
    if not math.isfinite(spread) or spread <= 0:
        return _USUAL_DECIMALS
    decimals = least = max(0, 1 - math.floor(math.log10(spread)))
    # A value outside the range must not look equal to its bounds.
    while decimals < least + _MORE_DECIMALS and any(
        each != value and _printed(each, decimals) == _printed(value, decimals) for each in ends
    ):
        decimals += 1
    return decimals


def _printed(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return f"{value:g}"
    if decimals <= _MOST_DECIMALS and abs(value) < _LONGEST_WHOLE:
        # Adding zero turns minus zero into zero.
        return f"{round(value, decimals) + 0.0:.{decimals}f}"
    if value == 0:
        return "0"
    digits = decimals + 1 + math.floor(math.log10(abs(value)))
    return f"{value:.{min(max(digits, 1), _MOST_DIGITS)}g}"
