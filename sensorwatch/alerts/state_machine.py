"""When anomalous windows become an alert, and when it is over: a pure state machine, one state per sensor.

``k`` anomalous windows among the last ``n`` open one alert; it takes in every further anomalous window; a quiet period
clears it. Windows are taken in by time: one at or before the newest taken in changes nothing, so a prediction file that
is delivered again, or late, opens no alert twice.
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
    anomalous_windows, recent_windows
        ``k`` and ``n``: that many anomalous windows among so many successive ones open an alert.
    quiet_seconds
        An alert clears at the first normal window that ends at least this long after its last anomalous one.
    memory_seconds
        Longest gap between two windows over which the earlier ones still count, if longer than ``quiet_seconds``.
    """

    anomalous_windows: int
    recent_windows: int
    quiet_seconds: int
    memory_seconds: int = 0


class ScoredWindow(NamedTuple):
    """One scored window: ``end`` in seconds since 1970-01-01T00:00:00Z, ``score`` 0-100.

    What comes after ``anomalous`` describes the window in the alert whose peak it is.
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
    """Take in each sensor's windows and return what changes.

    Parameters
    ----------
    states
        The stored state of every sensor that has one.
    windows
        Per sensor, in ascending order of ``end``. A sensor without a state and without an anomalous window is better
        left out: it would only get a state that says nothing.

    Returns
    -------
    AlertChanges
        States of the sensors that moved, every alert opened, extended or cleared as it is now, and the notifications.
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
    """Take in one window newer than all before it; an alert that is over comes back with its ``cleared_end``."""
    alert = state.alert
    if alert is not None and window.end - alert.last_anomaly_end >= rules.quiet_seconds and not window.anomalous:
        return AlertState(state.sensor_id, window.end, (), replace(alert, cleared_end=window.end))
    memory_seconds = max(rules.quiet_seconds, rules.memory_seconds)
    remembered = () if window.end - state.last_end > memory_seconds else state.recent_scores
    score = window.score if window.anomalous else None
    recent = (*remembered, score)[-rules.recent_windows :]
    if window.anomalous:
        alert = _extend(alert, window) if alert is not None else _open(state.sensor_id, window, recent, rules)
    return AlertState(state.sensor_id, window.end, recent, alert)


def _open(sensor_id: int, window: ScoredWindow, recent: tuple[float | None, ...], rules: AlertRules) -> Alert | None:
    scores = [score for score in recent if score is not None]
    if len(scores) < rules.anomalous_windows:
        return None
    return Alert(
        alert_id=f"{sensor_id}-{window.end}",
        sensor_id=sensor_id,
        opened_end=window.end,
        last_anomaly_end=window.end,
        cleared_end=None,
        anomalies=len(scores),
        peak_score=max(scores),
        severity=window.severity,
        peak_value=window.value,
        expected_low=window.expected_low,
        expected_high=window.expected_high,
        model_version=window.model_version,
        training_start=window.training_start,
        training_end=window.training_end,
        explanation=window.explanation,
    )


def _extend(alert: Alert, window: ScoredWindow) -> Alert:
    extended = replace(alert, last_anomaly_end=window.end, anomalies=alert.anomalies + 1)
    if window.score <= alert.peak_score:
        return extended
    return replace(
        extended,
        peak_score=window.score,
        severity=window.severity,
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
        return [Notification(f"{after.alert_id}:cleared", "cleared", after)]
    if before is None:
        return [Notification(f"{after.alert_id}:opened", "opened", after)]
    return []
