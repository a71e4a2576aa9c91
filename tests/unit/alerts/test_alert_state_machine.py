"""The alert state machine: its laws, and the cases that a reader would ask about."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alerts.records import Alert, AlertChanges, AlertState, Notification
from sensorwatch.alerts.state_machine import AlertRules, ScoredWindow, advance
from sensorwatch.detectors.calibration import severity_of

RULES = AlertRules(anomalous_windows=3, recent_windows=5, quiet_seconds=60)


def scored(pattern: str, first_end: int = 5) -> list[ScoredWindow]:
    """Windows of 5 s: ``.`` normal, ``x`` anomalous, a blank is a window that never came."""
    return [
        ScoredWindow(first_end + 5 * i, 80.0 if c == "x" else 10.0, "high" if c == "x" else "none", c == "x")
        for i, c in enumerate(pattern)
        if c != " "
    ]


def run(pattern: str) -> AlertChanges:
    return advance({}, {0: scored(pattern)}, RULES)


def events(changes: AlertChanges) -> list[str]:
    return [notification.event for notification in changes.notifications]


def test_three_of_five_anomalous_windows_open_one_alert() -> None:
    assert events(run("..x..x.x....")) == []
    changes = run("..x.x.x....")
    assert events(changes) == ["opened"]
    assert changes.alerts[0].anomalies == 3
    assert changes.alerts[0].opened_end == 35


def test_more_windows_extend_the_open_alert_and_open_no_second() -> None:
    changes = run("xxxxxxx")
    assert events(changes) == ["opened"]
    assert changes.alerts[0].anomalies == 7
    assert changes.alerts[0].last_anomaly_end == 35


def test_a_quiet_period_clears_and_the_next_episode_is_a_new_alert() -> None:
    changes = run("xxx" + "." * 12 + "xxx")
    assert events(changes) == ["opened", "cleared", "opened"]
    assert len({alert.alert_id for alert in changes.alerts}) == 2
    assert changes.alerts[0].cleared_end == 15 + 60


def test_two_windows_before_a_long_gap_do_not_count_after_it() -> None:
    assert events(run("xx" + " " * 20 + "x")) == []
    assert events(run("xx" + " " * 2 + "x")) == ["opened"]


def test_the_alert_carries_its_highest_score_and_that_windows_severity() -> None:
    windows = [
        ScoredWindow(5 * i, score, severity, True)
        for i, (score, severity) in enumerate(
            [(60, "low"), (70, "medium"), (65, "low"), (99, "critical"), (51, "low")], 1
        )
    ]
    alert = advance({}, {0: windows}, RULES).alerts[0]
    assert (alert.peak_score, alert.severity) == (99, "critical")


@given(st.lists(st.floats(50, 100), min_size=1, max_size=12))
def test_the_severity_of_an_alert_is_always_that_of_its_score(scores: list[float]) -> None:
    windows = [ScoredWindow(5 * i, score, severity_of(score), True) for i, score in enumerate(scores, 1)]
    alerts = advance({}, {0: windows}, RULES).alerts
    assert len(alerts) == (len(scores) >= RULES.anomalous_windows)
    assert all(alert.severity == severity_of(alert.peak_score) for alert in alerts)


def test_an_alert_that_opens_after_its_highest_window_has_that_windows_severity() -> None:
    windows = [ScoredWindow(5 * i, score, severity_of(score), True) for i, score in enumerate([99, 52, 51], 1)]
    (alert,) = advance({}, {0: windows}, RULES).alerts
    assert (alert.peak_score, alert.severity) == (99, "critical")


@given(st.text(alphabet=".x ", max_size=80), st.lists(st.integers(0, 80), max_size=4))
def test_files_of_any_size_delivered_any_number_of_times_give_the_same_alerts(pattern: str, cuts: list[int]) -> None:
    whole = scored(pattern)
    expected = advance({}, {0: whole}, RULES)
    states: dict[int, AlertState] = {}
    alerts: dict[str, Alert] = {}
    notifications: list[Notification] = []
    bounds = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    for start, stop in pairwise(bounds):
        for _delivery in range(2):
            changes = advance(states, {0: whole[start:stop]}, RULES)
            states.update({state.sensor_id: state for state in changes.states})
            alerts.update({alert.alert_id: alert for alert in changes.alerts})
            notifications.extend(changes.notifications)
    assert list(alerts.values()) == list(expected.alerts)
    assert [n.key for n in notifications] == [n.key for n in expected.notifications]


@given(st.text(alphabet=".x ", max_size=120))
def test_opened_and_cleared_alternate_and_at_most_one_alert_is_open(pattern: str) -> None:
    changes = run(pattern)
    kinds = events(changes)
    assert all(kind == ("opened" if i % 2 == 0 else "cleared") for i, kind in enumerate(kinds))
    assert sum(alert.cleared_end is None for alert in changes.alerts) <= 1
