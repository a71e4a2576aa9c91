"""State machine that turns anomalous windows into alerts. Pure; one state per sensor.

``k`` anomalous windows among the last ``n`` open an alert. Every further anomalous window extends it. After a quiet
period it clears. Windows at or before the newest processed window are ignored, so a prediction file that arrives twice
or late never opens an alert twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.alerts.records import Alert, AlertChanges, AlertState, Notification

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["AlertRules", "ScoredWindow", "advance"]


@dataclass(frozen=True, slots=True)
class AlertRules:
    """The rules of one sensor.

    Attributes
    ----------
    anomalous_windows
        ``k``: number of anomalous windows that opens an alert.
    recent_windows
        ``n``: number of successive windows among which they are counted.
    quiet_seconds
        Quiet period in seconds. An alert clears at the first normal window that ends at least this long after its last
        anomalous window. After a longer gap between two windows, the earlier ones no longer count.
    longest_gap_seconds
        Longest gap over which earlier windows still count, in seconds, if longer than ``quiet_seconds``.
    """

    anomalous_windows: int
    recent_windows: int
    quiet_seconds: int
    longest_gap_seconds: int = 0


class ScoredWindow(NamedTuple):
    """One scored window.

    Attributes
    ----------
    end
        End of the window in seconds since 1970-01-01T00:00:00Z.
    score
        Anomaly score, 0 to 100.
    severity
        Severity of the score.
    anomalous
        True if the window is anomalous and not suppressed.
    value, expected_low, expected_high, model_version, training_start, training_end, explanation
        Copied into the alert if the window opens it or scores higher than all before.
    """

    end: int
    score: float
    severity: str
    anomalous: bool
    value: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    model_version: str = ""
    training_start: int | None = None
    training_end: int | None = None
    explanation: str = ""


def advance(
    states: Mapping[int, AlertState], windows: Mapping[int, Iterable[ScoredWindow]], rules: AlertRules
) -> AlertChanges:
    """Process the windows of some sensors and return the changes.

    Parameters
    ----------
    states
        Stored states by sensor.
    windows
        Windows by sensor, in ascending order of ``end``. Sensors with neither a state nor an anomalous window should be
        left out: they would only add empty states.
    rules
        Rules of these sensors.

    Returns
    -------
    AlertChanges
        Changed states, alerts that were opened, extended or cleared, and their notifications.
    """
    changed: list[AlertState] = []
    alerts: dict[str, Alert] = {}
    notifications: list[Notification] = []
    for sensor_id, sensor_windows in windows.items():
        before = states.get(sensor_id, AlertState(sensor_id, last_end=-1, recent_scores=(), alert=None))
        state = before
        for window in sensor_windows:
            if window.end <= state.last_end:
                continue
            previous, state = state, _step(state, window, rules)
            notifications.extend(_notifications(previous.alert, state.alert))
            if state.alert is not None:
                alerts[state.alert.alert_id] = state.alert
                if state.alert.cleared_end is not None:
                    state = replace(state, alert=None)
        if state != before:
            changed.append(state)
    return AlertChanges(states=changed, alerts=list(alerts.values()), notifications=notifications)


def _step(state: AlertState, window: ScoredWindow, rules: AlertRules) -> AlertState:
    """Process one window newer than all before it; return a cleared alert with its ``cleared_end``."""
    alert = state.alert
    if alert is not None and window.end - alert.last_anomaly_end >= rules.quiet_seconds and not window.anomalous:
        return AlertState(state.sensor_id, window.end, (), replace(alert, cleared_end=window.end))
    longest_gap = max(rules.quiet_seconds, rules.longest_gap_seconds)
    remembered = () if window.end - state.last_end > longest_gap else state.recent_scores
    score = window.score if window.anomalous else None
    recent = (*remembered, score)[-rules.recent_windows :]
    if window.anomalous:
        alert = _extend(alert, window) if alert is not None else _open(state.sensor_id, window, recent, rules)
    return AlertState(state.sensor_id, window.end, recent, alert)


def _open(sensor_id: int, window: ScoredWindow, recent: tuple[float | None, ...], rules: AlertRules) -> Alert | None:
    scores = [score for score in recent if score is not None]
    if len(scores) < rules.anomalous_windows:
        return None
    peak_score = max(scores)
    # Loads the numerical stack, which a function app needs only here.
    from sensorwatch.detectors.calibration import severity_of

    alert = Alert(
        alert_id=f"{sensor_id}-{window.end}",
        sensor_id=sensor_id,
        opened_end=window.end,
        last_anomaly_end=window.end,
        cleared_end=None,
        anomalies=len(scores),
        peak_score=peak_score,
        # An earlier window may have the highest score, and the state keeps scores only.
        severity=severity_of(peak_score),
    )
    return _described(alert, window)


def _extend(alert: Alert, window: ScoredWindow) -> Alert:
    extended = replace(alert, last_anomaly_end=window.end, anomalies=alert.anomalies + 1)
    if window.score <= alert.peak_score:
        return extended
    return _described(replace(extended, peak_score=window.score, severity=window.severity), window)


def _described(alert: Alert, window: ScoredWindow) -> Alert:
    """Return the alert with the details of a window."""
    return replace(
        alert,
        peak_value=window.value,
        expected_low=window.expected_low,
        expected_high=window.expected_high,
        model_version=window.model_version,
        training_start=window.training_start,
        training_end=window.training_end,
        explanation=window.explanation,
    )


def _notifications(before: Alert | None, after: Alert | None) -> list[Notification]:
    if after is None:
        return []
    if after.cleared_end is not None:
        return [Notification.cleared(after)]
    if before is None:
        return [Notification.opened(after)]
    return []
