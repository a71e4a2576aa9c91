"""The alarm channel, and that alerts are the same live."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alarms import alarm_scores, alarm_spans
from sensorwatch.alerting.rules import AlertRules, ScoredWindow, advance
from sensorwatch.records import Alert, AlertState

STEP_SECONDS = 300
scores = st.lists(st.sampled_from([0.0, 20.0, 50.0, 70.0, 99.0]), max_size=40).map(np.array)


@given(scores, st.integers(0, 6))
def test_alerts_are_alarms_window_for_window(found: np.ndarray, hold: int) -> None:
    anomalous = found >= 50
    alarm = alarm_scores(found, anomalous, hold)
    rules = AlertRules(1, 1, (hold + 1) * STEP_SECONDS)
    states: dict[int, AlertState] = {}
    alerts: dict[str, Alert] = {}
    for i, (score, flag) in enumerate(zip(found.tolist(), anomalous.tolist(), strict=True)):
        window = ScoredWindow(STEP_SECONDS * (i + 1), score, "high" if flag else "normal", flag)
        changes = advance(states, {7: [window]}, rules)
        states |= {state.sensor_id: state for state in changes.states}
        alerts |= {alert.alert_id: alert for alert in changes.alerts}
        open_alert = states[7].alert if 7 in states else None
        assert alarm[i] == (open_alert.peak_score if open_alert else 0.0)
    firsts, lasts = alarm_spans(anomalous, hold)
    assert [(each.opened_end, each.last_anomaly_end) for each in alerts.values()] == [
        (STEP_SECONDS * (first + 1), STEP_SECONDS * (last + 1)) for first, last in zip(firsts, lasts, strict=True)
    ]


@given(scores, st.integers(0, 6))
def test_the_future_never_changes_an_alarm(found: np.ndarray, hold: int) -> None:
    whole = alarm_scores(found, found >= 50, hold)
    for n in range(len(found)):
        np.testing.assert_array_equal(alarm_scores(found[:n], found[:n] >= 50, hold), whole[:n])
