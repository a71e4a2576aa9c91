"""What feedback on an alert changes for the windows after it: pure.

An alert that was expected, a false alarm or the begin of a new trend makes a tolerance: windows like those that it was
made of raise no alert until the sensor has a new model. They stay stored as anomalies, with the reason.
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
"""How much farther from the expected range than the alert's farthest value a tolerated one may be: noise on the very
same fault would pass the exact limit now and then."""


def direction_of(value: float | None, low: float | None, high: float | None) -> Direction | None:
    """Return the side of the expected range on which a value lies; None if that is not known.

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
    """Return what a verdict makes tolerated; None for ``confirmed``, and for an alert that no model raised.

    Parameters
    ----------
    alert
        The alert that was judged.
    anomalies
        Its anomalous windows; without them the limit is that of its peak.
    model_version
        Version of the sensor's model now; empty: it has none.
    from_end
        Windows up to this one are as they were published.
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
    """Return the anomalies, with the reason at those that are tolerated (per sensor id) and not suppressed yet."""
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
