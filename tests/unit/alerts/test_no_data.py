"""Rules of alerts of sensors without data."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alerts.no_data import SensorActivity, no_data_alerts, no_data_changes
from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.records import Alert
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.config.file import parse_configuration
from sensorwatch.sensors.records import SensorKey

T0 = 1_795_169_700  # 2026-11-20T10:15:00Z
KEY = SensorKey("press-1", "vibration")
FLOOR = 100
RETIRED = 10_000


def policy(text: str = "") -> AlertPolicy:
    configuration = parse_configuration(text, "f")
    defaults = AlertDefaults(
        AlertRules(3, 5, 300), no_data_intervals=10, no_data_floor_seconds=FLOOR, retired_seconds=RETIRED
    )
    return AlertPolicy(defaults, configuration.alerts, configuration.downtimes)


def overdue(now: int, *, last: int = 0, interval: int = 5, text: str = "") -> list[Alert]:
    return no_data_alerts([SensorActivity(7, KEY, T0 + last, interval)], policy(text), T0 + now)


def test_a_sensor_is_without_data_after_so_many_intervals_and_the_floor() -> None:
    assert overdue(FLOOR) == []
    (alert,) = overdue(FLOOR + 1)
    assert (alert.kind, alert.alert_id, alert.opened_end) == ("no-data", f"7-no-data-{T0}", T0 + FLOOR)
    assert overdue(300, interval=30) == []
    assert [alert.opened_end for alert in overdue(301, interval=30)] == [T0 + 300]


def test_a_sensor_that_reports_on_change_may_pause_for_twice_its_longest_usual_gap() -> None:
    on_change = SensorActivity(7, KEY, T0, 5, 1500)
    assert no_data_alerts([on_change], policy(), T0 + 3000) == []
    assert [alert.opened_end for alert in no_data_alerts([on_change], policy(), T0 + 3001)] == [T0 + 3000]


def test_a_sensor_without_data_for_very_long_is_retired() -> None:
    assert len(overdue(RETIRED)) == 1
    assert overdue(RETIRED + 1) == []


def test_rules_decide_who_is_watched_and_when() -> None:
    assert overdue(200, text="alerts: {rules: [{no_data: false}]}") == []
    assert overdue(200, text="alerts: {rules: [{enabled: false}]}") == []
    assert overdue(200, text="alerts: {rules: [{no_data: {at_least_seconds: 300}}]}") == []
    assert len(overdue(60, text="alerts: {rules: [{no_data: {at_least_seconds: 50}}]}")) == 1
    hours = "alerts: {rules: [{times: {only: [{from: 11:00, to: 12:00}]}}]}"
    assert overdue(200, text=hours) == []
    assert len(overdue(3600, text=hours)) == 1


def test_time_without_data_counts_from_the_end_of_downtime() -> None:
    text = "maintenance: [{from: 2026-11-20 10:14, to: 2026-11-20 10:25}]"
    assert overdue(300, text=text) == []
    assert overdue(600 + FLOOR, text=text) == []
    assert [alert.opened_end for alert in overdue(601 + FLOOR, text=text)] == [T0 + 600 + FLOOR]


@given(st.lists(st.tuples(st.sampled_from(["data", "check"]), st.integers(0, 400)), max_size=40), st.integers(1, 30))
def test_every_gap_opens_once_and_clears_once(steps: list[tuple[str, int]], interval: int) -> None:
    """Time may stand still or jump back a little, as clocks do; each check is done twice."""
    rules = policy()
    stored: dict[str, Alert] = {}
    told: list[str] = []
    now = last = T0
    for what, seconds in steps:
        now += seconds - 20
        if what == "data":
            last = max(last, now)
            continue
        for _again in range(2):
            sensor = SensorActivity(7, KEY, last, interval)
            changes = no_data_changes(no_data_alerts([sensor], rules, now), stored, {7: sensor}, rules, now)
            stored.update({alert.alert_id: alert for alert in changes.alerts})
            told.extend(notification.key for notification in changes.notifications)
    assert len(set(told)) == len(told)
    assert sum(key.endswith(":opened") for key in told) == len(stored)
    assert sum(key.endswith(":cleared") for key in told) == sum(
        alert.cleared_end is not None for alert in stored.values()
    )
    assert sum(alert.cleared_end is None for alert in stored.values()) <= 1


def test_an_alert_clears_when_data_arrive_the_sensor_is_retired_or_its_rule_is_switched_off() -> None:
    (alert,) = overdue(200)
    stored = {alert.alert_id: alert}

    def cleared(last: int, now: int, text: str = "") -> list[int | None]:
        sensors = {7: SensorActivity(7, KEY, T0 + last, 5)}
        changes = no_data_changes([], stored, sensors, policy(text), T0 + now)
        assert [notification.key for notification in changes.notifications] == [
            f"{alert.alert_id}:cleared" for _ in changes.alerts
        ]
        return [each.cleared_end for each in changes.alerts]

    assert cleared(0, 400) == []
    assert cleared(395, 400) == [T0 + 395]
    assert cleared(0, RETIRED + 1) == [T0 + RETIRED + 1]
    assert cleared(0, 400, "alerts: {rules: [{no_data: false}]}") == [T0 + 400]


def test_an_alert_that_a_person_resolved_does_not_open_again() -> None:
    (alert,) = overdue(200)
    resolved = {alert.alert_id: replace(alert, cleared_end=T0 + 250)}
    changes = no_data_changes(overdue(300), resolved, {7: SensorActivity(7, KEY, T0, 5)}, policy(), T0 + 300)
    assert (changes.alerts, changes.notifications) == ([], [])
