"""The alarm channel, and that alerts are the same live."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alerts.records import Alert, AlertState
from sensorwatch.alerts.state_machine import AlertRules, ScoredWindow, advance
from sensorwatch.evaluation.episodes import alarm_scores, alarm_spans, onset_scores

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


@given(scores, st.integers(0, 6), st.sampled_from([10.0, 50.0, 80.0]))
def test_at_any_threshold_an_onset_is_where_an_alarm_begins_or_gets_worse(
    found: np.ndarray, hold: int, threshold: float
) -> None:
    told = np.flatnonzero(onset_scores(found, hold) > threshold)
    beyond = np.flatnonzero(found > threshold)
    firsts, _ = alarm_spans(found > threshold, max(hold - 1, 0))
    assert set(firsts) <= set(told) <= set(beyond)
    for i in set(told) - set(firsts):
        assert found[i] > found[max(i - hold, 0) : i].max(initial=0.0)


@given(scores, st.integers(0, 6), st.integers(0, 40))
def test_the_future_never_changes_an_onset(found: np.ndarray, hold: int, known: int) -> None:
    np.testing.assert_array_equal(onset_scores(found[:known], hold), onset_scores(found, hold)[:known])


def test_a_window_without_a_score_is_no_onset() -> None:
    assert onset_scores(np.array([np.nan, 60.0, np.nan, 60.0, 70.0]), 3).tolist() == [0.0, 60.0, 0.0, 0.0, 70.0]
