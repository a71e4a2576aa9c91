"""Actions of people on alerts, silences, incidents and feedback in the store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from fakes.clock import FakeClock
from store_cases import NOW, SHARD_SIZE

from sensorwatch.alerts.handling import AlertAction, AlertFilter, Silence
from sensorwatch.alerts.records import Anomaly, IncidentRules
from sensorwatch.alerts.state_machine import AlertRules, ScoredWindow, advance
from sensorwatch.errors import ConflictError, NotFoundError
from sensorwatch.sensors.records import SensorKey, TrainingOutcome
from sensorwatch.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sensorwatch.alerts.records import AlertChanges, AlertState
    from sensorwatch.store import SqlStore

pytest_plugins = ["store_databases"]

RULES = AlertRules(anomalous_windows=2, recent_windows=3, quiet_seconds=60)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def open_again(database_url: str, clock: FakeClock) -> Iterator[Callable[[], SqlStore]]:
    """Opens the database as a process that starts."""
    opened: list[SqlStore] = []

    def one() -> SqlStore:
        opened.append(
            open_store(
                database_url, shard_size=SHARD_SIZE, clock=clock, incident_rules=IncidentRules(site_pattern="^([a-z]+)")
            )
        )
        return opened[-1]

    yield one
    for store in opened:
        store.dispose()


@pytest.fixture
def store(open_again: Callable[[], SqlStore]) -> SqlStore:
    """A store with six sensors: three of a site, three others."""
    opened = open_again()
    names = ["berlin-1", "berlin-2", "berlin-3", "4", "5", "6"]
    opened.sensor_ids([SensorKey(name, "t") for name in names])
    return opened


def publish(store: SqlStore, windows: Mapping[int, str], first: int = 1) -> tuple[int, int]:
    """Publish windows of 5 s per sensor: ``x`` anomalous, ``.`` normal, from window number ``first``."""
    scored = {
        sensor_id: [
            ScoredWindow(5 * (first + i), 90.0 + sensor_id if c == "x" else 5.0, "high", c == "x")
            for i, c in enumerate(pattern)
        ]
        for sensor_id, pattern in windows.items()
    }
    anomalies = [
        Anomaly(sensor_id, each.end, 9.0, each.score, "high", 1.0, 5.0, "v1")
        for sensor_id, found in scored.items()
        for each in found
        if each.anomalous
    ]

    def decide(states: Mapping[int, AlertState]) -> AlertChanges:
        return advance(states, scored, RULES)

    outcome = store.publish(anomalies, [], list(windows), decide)
    return outcome.alerts_opened, outcome.alerts_cleared


def told(store: SqlStore) -> list[str]:
    return [notification.key for notification in store.pending_notifications(10_000)]


def history(store: SqlStore, alert_id: str) -> list[tuple[str, str]]:
    return [(entry.actor, entry.action) for entry in store.alert_history(alert_id)]


def act(store: SqlStore, alert_id: str, name: str, by: str = "anna", **more: object) -> None:
    store.act(alert_id, AlertAction(name, by, **more))  # type: ignore[arg-type]


QUIET = "." * 14


def test_actions_of_people_survive_a_restart_and_every_replay(
    store: SqlStore, open_again: Callable[[], SqlStore]
) -> None:
    publish(store, {3: "xx"})
    act(store, "3-10", "acknowledge")
    act(store, "3-10", "comment", text="a bearing")
    again = open_again()
    assert publish(again, {3: "xxx"}) == (0, 0)
    handled = again.alert("3-10")
    assert (handled.condition(NOW), handled.handling.acknowledged_by, handled.alert.anomalies) == (
        "acknowledged",
        "anna",
        3,
    )
    assert history(again, "3-10") == [("sensorwatch", "open"), ("anna", "acknowledge"), ("anna", "comment")]


def test_an_action_done_twice_is_in_the_history_once(store: SqlStore) -> None:
    publish(store, {3: "xx"})
    for name in ("acknowledge", "unacknowledge", "resolve"):
        for _ in range(2):
            act(store, "3-10", name)
    for _ in range(2):
        act(store, "3-10", "feedback", verdict="confirmed")
    actions = ["open", "acknowledge", "unacknowledge", "resolve", "feedback"]
    assert [action for _, action in history(store, "3-10")] == actions


def test_the_quiet_period_resolves_an_acknowledged_alert(store: SqlStore) -> None:
    publish(store, {3: "xx"})
    act(store, "3-10", "acknowledge")
    assert publish(store, {3: QUIET}, 3) == (0, 1)
    assert store.alert("3-10").condition(NOW) == "resolved"
    assert told(store) == ["3-10:opened", "3-10:cleared"]


def test_a_resolved_alert_stays_resolved_and_the_next_episode_is_another_alert(store: SqlStore) -> None:
    publish(store, {3: "xx"})
    act(store, "3-10", "resolve")
    assert told(store) == ["3-10:opened", "3-10:cleared"]
    for _ in range(2):
        publish(store, {3: "xx"})
        publish(store, {3: "x"}, 3)
    assert [each.alert.alert_id for each in store.handled_alerts(AlertFilter(condition="resolved"))] == ["3-10"]
    assert publish(store, {3: "x"}, 4) == (1, 0)
    assert [each.alert.alert_id for each in store.handled_alerts(AlertFilter(condition="open"))] == ["3-20"]
    with pytest.raises(ConflictError, match="can't acknowledge a resolved alert"):
        act(store, "3-10", "acknowledge")


def test_an_unknown_alert_is_named(store: SqlStore) -> None:
    with pytest.raises(NotFoundError, match="no alert `9-9`"):
        act(store, "9-9", "acknowledge")
    with pytest.raises(NotFoundError, match="no alert `9-9`"):
        store.alert("9-9")
    with pytest.raises(NotFoundError, match="no incident `x`"):
        store.incident_summary("x")
    with pytest.raises(NotFoundError, match="no silence `x`"):
        store.end_silence("x", "anna")


# ---- silences --------------------------------------------------------------------------------------------------------


def silence(device: str, until: timedelta = HOUR) -> Silence:
    return Silence("s1", device, "*", NOW + until, "anna", NOW, "a test run")


def test_a_silence_ahead_lets_alerts_collect_windows_and_notifies_at_its_end(store: SqlStore, clock: FakeClock) -> None:
    store.add_silence(silence("[45]"))
    assert publish(store, {3: "xx", 4: "xx", 5: "xx"}) == (3, 0)
    publish(store, {3: "x"}, 3)
    handled = store.alert("3-10")
    assert (handled.condition(NOW), handled.handling.silenced_why, handled.alert.anomalies) == (
        "silenced",
        "a test run",
        3,
    )
    assert told(store) == ["5-10:opened"]
    assert store.release_held() == 0
    clock.now += HOUR
    assert store.release_held() == 2
    assert store.release_held() == 0
    assert told(store) == ["3-10:opened", "4-10:opened", "5-10:opened"]
    assert store.alert("3-10").condition(clock.now) == "open"


def test_an_episode_that_is_over_before_its_silence_sends_no_notification(store: SqlStore, clock: FakeClock) -> None:
    store.add_silence(silence("4"))
    publish(store, {3: "xx" + QUIET})
    publish(store, {3: "xx"}, 40)
    publish(store, {3: QUIET}, 42)
    clock.now += HOUR
    store.release_held()
    assert told(store) == []
    assert len(store.handled_alerts(AlertFilter(condition="resolved"))) == 2


def test_ending_a_silence_sends_what_it_held_back(store: SqlStore) -> None:
    store.add_silence(silence("4"))
    publish(store, {3: "xx"})
    for _ in range(2):
        store.end_silence("s1", "bert")
    assert store.release_held() == 1
    assert told(store) == ["3-10:opened"]
    assert history(store, "3-10")[-2:] == [("anna", "silence"), ("bert", "unsilence")]
    assert store.silences() == []
    assert [each.ended_by for each in store.silences(active_only=False)] == ["bert"]


def test_a_silenced_alert_holds_back_its_end_and_the_next_episode(store: SqlStore, clock: FakeClock) -> None:
    publish(store, {3: "xx"})
    act(store, "3-10", "silence", until=NOW + HOUR, text="known")
    publish(store, {3: QUIET}, 3)
    publish(store, {3: "xx"}, 40)
    assert told(store) == ["3-10:opened"]
    clock.now += HOUR
    store.release_held()
    assert told(store) == ["3-10:opened", "3-10:cleared", "3-205:opened"]


def test_unsilencing_an_alert_lets_its_sensor_be_heard_again(store: SqlStore) -> None:
    publish(store, {3: "xx"})
    act(store, "3-10", "silence", until=NOW + HOUR)
    act(store, "3-10", "unsilence", by="bert")
    assert store.alert("3-10").condition(NOW) == "open"
    publish(store, {3: QUIET + "xx"}, 3)
    assert told(store)[-2:] == ["3-10:cleared", "3-90:opened"]


def test_a_new_silence_covers_the_open_alerts_that_match(store: SqlStore) -> None:
    publish(store, {3: "xx", 4: "xx"})
    for _ in range(2):
        store.add_silence(silence("4"))
    assert [each.alert.alert_id for each in store.handled_alerts(AlertFilter(condition="silenced"))] == ["3-10"]
    assert history(store, "3-10")[1:] == [("anna", "silence")]


# ---- incidents -------------------------------------------------------------------------------------------------------


def test_sensors_of_one_site_alerting_at_once_are_one_incident(store: SqlStore) -> None:
    publish(store, {0: "xx", 1: "xx", 2: "xx", 3: "xx"})
    assert told(store) == ["3-10:opened", "incident-0-10:opened"]
    for _ in range(2):
        publish(store, {0: "xx", 1: "xx", 2: "xx", 3: "xx"})
    (incident,) = store.incidents(open_only=True)
    assert (incident.group, incident.alerts, incident.peak_score) == ("berlin", 3, 92.0)
    assert [alert.sensor_id for alert in incident.top] == [2, 1, 0]
    assert store.alert("1-10").incident_id == "incident-0-10"
    assert len(store.handled_alerts(AlertFilter(incident_id="incident-0-10"))) == 3


def test_an_incident_closes_with_its_last_alert_and_notifies_once(store: SqlStore) -> None:
    publish(store, {0: "xx", 1: "xx", 2: "xx"})
    publish(store, {0: QUIET, 1: QUIET}, 3)
    assert store.incidents(open_only=True)
    act(store, "2-10", "resolve")
    assert not store.incidents(open_only=True)
    assert told(store) == ["incident-0-10:opened", "incident-0-10:cleared"]
    assert store.incident_summary("incident-0-10").incident.closed_end == 70
    publish(store, {0: "xx"}, 30)
    assert told(store)[-1] == "0-155:opened"


def test_alerts_sent_alone_before_an_incident_formed_are_cleared_alone(store: SqlStore) -> None:
    publish(store, {0: "xx"})
    publish(store, {1: "xx", 2: "xx"}, 2)
    assert told(store) == ["0-10:opened", "incident-0-10:opened"]
    publish(store, {0: QUIET, 1: QUIET, 2: QUIET}, 4)
    assert sorted(told(store)[2:]) == ["0-10:cleared", "incident-0-10:cleared"]


def test_an_incident_of_silenced_sensors_waits_for_the_end_of_the_silence(store: SqlStore, clock: FakeClock) -> None:
    store.add_silence(silence("berlin-*"))
    publish(store, {0: "xx", 1: "xx", 2: "xx"})
    assert told(store) == []
    clock.now += HOUR
    assert store.release_held() == 1
    assert told(store) == ["incident-0-10:opened"]


def test_a_thousand_sensors_at_once_are_one_notification(database_url: str) -> None:
    rules = IncidentRules(site_pattern="^hall")
    store = open_store(database_url, shard_size=SHARD_SIZE, clock=lambda: NOW, incident_rules=rules)
    try:
        store.sensor_ids([SensorKey(f"hall-{i}", "t") for i in range(1000)])
        assert publish(store, dict.fromkeys(range(500), "xx")) == (500, 0)
        assert publish(store, dict.fromkeys(range(500, 1000), "xx")) == (500, 0)
        assert told(store) == ["incident-0-10:opened"]
        (incident,) = store.incidents()
        assert (incident.alerts, len(incident.top)) == (1000, 10)
    finally:
        store.dispose()


# ---- feedback --------------------------------------------------------------------------------------------------------


def test_feedback_makes_later_windows_tolerated_and_a_label(store: SqlStore) -> None:
    store.record_training([TrainingOutcome(3, "ready", "", NOW, "v1")])
    publish(store, {3: "xx"})
    act(store, "3-10", "feedback", verdict="false-alarm", text="a sensor swap")
    ((tolerance,),) = store.tolerances([3, 4]).values()
    assert (tolerance.direction, tolerance.from_end, tolerance.model_version) == (None, 10, "v1")
    (label,) = store.labels()
    assert (label.sensor.device, label.handled.handling.feedback) == ("4", "false-alarm")
    act(store, "3-10", "feedback", verdict="confirmed")
    assert [each.until_end for each in store.tolerances([3])[3]] == [10]
    assert [each.handled.handling.feedback for each in store.labels()] == ["confirmed"]


def test_a_new_trend_moves_the_training_range_until_it_is_taken_back(store: SqlStore) -> None:
    publish(store, {3: "xx"})
    act(store, "3-10", "feedback", verdict="new-trend")
    assert [sensor.train_from and sensor.train_from.timestamp() for sensor in store.sensors()] == [
        *(None, None, None),
        9.0,
        *(None, None),
    ]
    act(store, "3-10", "feedback", verdict="expected")
    assert all(sensor.train_from is None for sensor in store.sensors())
