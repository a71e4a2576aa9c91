"""Effect of feedback on later windows. Pure.

The verdicts ``expected``, ``false-alarm`` and ``new-trend`` create a tolerance: windows like those of the judged alert
raise no alert until the sensor gets a new model. They are still stored as anomalies, with the reason.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sensorwatch.alerts.handling import Tolerance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sensorwatch.alerts.handling import Verdict
    from sensorwatch.alerts.records import Alert, Anomaly
    from sensorwatch.config.alerts import Direction

__all__ = ["MARGIN", "direction_of", "suppress", "tolerance_for"]

MARGIN = 0.1
"""Share by which a tolerated value may lie farther from the expected range than the alert's farthest value.

Noise on the same fault would otherwise exceed the limit now and then.
"""


def direction_of(value: float | None, low: float | None, high: float | None) -> Direction | None:
    """Return the side of the expected range on which a value lies; None if that is not known.

    Parameters
    ----------
    value
        The value; None if not known.
    low, high
        Bounds of the expected range; None: no bound.

    Examples
    --------
    >>> direction_of(9.0, 1.0, 5.0), direction_of(0.0, 1.0, None), direction_of(3.0, 1.0, 5.0)
    ('above', 'below', None)
    """
    if value is not None and high is not None and value > high:
        return "above"
    if value is not None and low is not None and value < low:
        return "below"
    return None


def tolerance_for(
    alert: Alert, verdict: Verdict, anomalies: Sequence[Anomaly], model_version: str, from_end: int
) -> Tolerance | None:
    """Return the tolerance that follows from a verdict.

    Parameters
    ----------
    alert
        The judged alert.
    verdict
        The verdict.
    anomalies
        Anomalous windows of the alert; without them, the limits are those of its peak.
    model_version
        Current version of the sensor's model; empty if it has none.
    from_end
        End of the newest published window in seconds since 1970-01-01T00:00:00Z. Windows up to it stay as published.

    Returns
    -------
    Tolerance or None
        None for ``confirmed``, for an alert that no model raised, and for a sensor without a model.
    """
    if verdict == "confirmed" or alert.kind != "anomaly" or not model_version:
        return None
    direction = direction_of(alert.peak_value, alert.expected_low, alert.expected_high)
    same = [each for each in anomalies if direction_of(each.value, each.expected_low, each.expected_high) == direction]
    values = [each.value for each in same]
    limit: float | None = None
    if direction is not None and alert.peak_value is not None:
        farthest = (max if direction == "above" else min)([*values, alert.peak_value])
        bound = alert.expected_high if direction == "above" else alert.expected_low
        limit = farthest + MARGIN * (farthest - (farthest if bound is None else bound))
    return Tolerance(
        alert_id=alert.alert_id,
        sensor_id=alert.sensor_id,
        verdict=verdict,
        direction=direction,
        value_limit=limit,
        score_limit=max([*(each.score for each in same), alert.peak_score]),
        model_version=model_version,
        from_end=from_end,
    )


def suppress(anomalies: Iterable[Anomaly], tolerances: Mapping[int, Sequence[Tolerance]]) -> list[Anomaly]:
    """Return the anomalies, with the reason set for those that a tolerance of their sensor suppresses."""
    return [
        anomaly if anomaly.suppressed else replace(anomaly, suppressed=_reason(anomaly, tolerances))
        for anomaly in anomalies
    ]


def _reason(anomaly: Anomaly, tolerances: Mapping[int, Sequence[Tolerance]]) -> str:
    for tolerance in tolerances.get(anomaly.sensor_id, ()):
        if _tolerated(anomaly, tolerance):
            return f"feedback {tolerance.verdict} on {tolerance.alert_id}"
    return ""


def _tolerated(anomaly: Anomaly, tolerance: Tolerance) -> bool:
    after_end = tolerance.until_end is not None and anomaly.end > tolerance.until_end
    if anomaly.end <= tolerance.from_end or after_end or anomaly.model_version != tolerance.model_version:
        return False
    direction = direction_of(anomaly.value, anomaly.expected_low, anomaly.expected_high)
    if direction != tolerance.direction:
        return False
    if tolerance.value_limit is None:
        return anomaly.score <= tolerance.score_limit
    if direction == "above":
        return anomaly.value <= tolerance.value_limit
    return anomaly.value >= tolerance.value_limit
