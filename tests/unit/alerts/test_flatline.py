"""Sensors that no longer vary: the laws of the pure part."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alerts.flat_runs import FlatProgress, FlatRun
from sensorwatch.alerts.flatline import SensorWindows, flat_changes
from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.records import Alert, Notification
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.config.file import parse_configuration
from sensorwatch.sensors.records import ReportingProfile, SensorKey

T0 = 1_795_169_700
KEY = SensorKey("press-1", "vibration")
LIMIT = 60
VARIES = ReportingProfile(0, 5, 10)
ALWAYS_CONSTANT = ReportingProfile(0, 5, None)
USUALLY_FLAT = ReportingProfile(0, 5, 100)


def policy(text: str = "") -> AlertPolicy:
    configuration = parse_configuration(text, "f")
    return AlertPolicy(
        AlertDefaults(AlertRules(3, 5, 300), flatline_seconds=LIMIT), configuration.alerts, configuration.downtimes
    )


@dataclass
class Watched:
    """One sensor over several files, as the store would keep it."""

    profile: ReportingProfile | None = VARIES
    policy: AlertPolicy = field(default_factory=policy)
    until: int | None = None
    runs: dict[int, FlatRun] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    told: list[Notification] = field(default_factory=list)
    writes: int = 0

    def take(self, values: str, first: int = 1) -> Watched:
        """Windows of 5 s, one a character, whose value it is; a blank is a window that never came."""
        rows = [(T0 + 5 * (first + i), float(ord(c))) for i, c in enumerate(values) if c != " "]
        windows = SensorWindows(
            np.zeros(len(rows), np.int64),
            np.array([end for end, _ in rows], np.int64),
            np.array([value for _, value in rows], np.float64),
        )
        profiles = {} if self.profile is None else {0: self.profile}
        changes = flat_changes(
            windows, {0: KEY}, FlatProgress(self.until, self.runs, profiles, self.alerts), self.policy
        )
        self.until = changes.until
        self.runs.update({run.sensor_id: run for run in changes.runs})
        for sensor_id in changes.ended:
            del self.runs[sensor_id]
        self.alerts.update({alert.alert_id: alert for alert in changes.alerts.alerts})
        self.told.extend(changes.alerts.notifications)
        self.writes += len(changes.runs) + len(changes.ended)
        return self

    @property
    def events(self) -> list[str]:
        return [notification.event for notification in self.told]


def test_a_sensor_that_varies_never_alerts() -> None:
    watched = Watched().take("abcabcabcabcabcabc" * 3)
    assert (watched.events, watched.runs) == ([], {})


def test_a_sensor_that_stays_flat_alerts_once_and_clears_when_it_varies() -> None:
    watched = Watched().take("ab" + "c" * 13)
    (alert,) = watched.alerts.values()
    assert watched.events == ["opened"]
    assert (alert.kind, alert.alert_id, alert.peak_value) == ("flatline", f"0-flatline-{T0 + 15}", float(ord("c")))
    assert alert.opened_end == T0 + 15 + LIMIT
    watched.take("c" * 20, first=16)
    assert watched.events == ["opened"]
    watched.take("cd", first=36)
    assert watched.events == ["opened", "cleared"]
    assert watched.alerts[alert.alert_id].cleared_end == T0 + 5 * 37
    assert watched.runs == {}


def test_a_run_goes_on_from_file_to_file_without_a_write() -> None:
    watched = Watched().take("abcc")
    writes = watched.writes
    watched.take("cccc", first=5)
    assert (watched.writes, watched.events) == (writes, [])
    watched.take("cccccccc", first=9)
    assert watched.events == ["opened"]


def test_a_sensor_that_was_always_constant_never_alerts() -> None:
    assert Watched(ALWAYS_CONSTANT).take("c" * 100).events == []


def test_a_sensor_that_training_has_not_seen_never_alerts() -> None:
    assert Watched(None).take("c" * 100).events == []


def test_a_sensor_that_is_flat_now_and_then_has_to_be_flat_for_twice_as_long() -> None:
    assert Watched(USUALLY_FLAT).take("a" + "c" * 40).events == []
    assert Watched(USUALLY_FLAT).take("a" + "c" * 41).events == ["opened"]


def test_an_episode_within_one_file_opens_and_clears() -> None:
    watched = Watched().take("ab" + "c" * 20 + "ababab" + "d" * 20)
    assert watched.events == ["opened", "cleared", "opened"]


def test_rules_and_maintenance_hold_an_alert_back() -> None:
    flat = "a" + "c" * 20
    assert Watched(policy=policy("alerts: {rules: [{flatline: false}]}")).take(flat).events == []
    assert Watched(policy=policy("alerts: {rules: [{enabled: false}]}")).take(flat).events == []
    assert Watched(policy=policy("alerts: {rules: [{flatline: {seconds: 200}}]}")).take(flat).events == []
    maintenance = policy("maintenance: [{from: 2026-11-20 10:15, to: 2026-11-20 10:17}]")
    watched = Watched(policy=maintenance).take(flat)
    assert watched.events == []
    watched.take("c" * 14, first=22)
    assert watched.events == []
    # A whole limit after its end the sensor is still flat.
    watched.take("c" * 3, first=36)
    assert watched.events == ["opened"]


def test_windows_of_several_sensors_stay_apart() -> None:
    ids = np.repeat([0, 1], 20)
    ends = np.tile(T0 + 5 * np.arange(1, 21), 2)
    values = np.concatenate((np.full(20, 1.0), np.arange(20.0)))
    values[0] = 0.0
    profiles = {0: VARIES, 1: ReportingProfile(1, 5, 10)}
    changes = flat_changes(
        SensorWindows(ids, ends, values), {0: KEY, 1: KEY}, FlatProgress(None, {}, profiles, {}), policy()
    )
    assert [alert.sensor_id for alert in changes.alerts.alerts] == [0]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 16)), max_size=12),
    st.lists(st.integers(0, 150), max_size=4),
    st.sampled_from([VARIES, USUALLY_FLAT, ALWAYS_CONSTANT]),
)
def test_files_delivered_any_number_of_times_open_and_clear_each_episode_once(
    episodes: list[tuple[str, int]], cuts: list[int], profile: ReportingProfile
) -> None:
    values = "".join(value * length for value, length in episodes)
    watched = Watched(profile)
    bounds = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    for start, stop in pairwise(bounds):
        for _delivery in range(2):
            watched.take(values[start:stop], first=start + 1)
        watched.take(values[: stop // 2])
    keys = [notification.key for notification in watched.told]
    assert len(set(keys)) == len(keys)
    assert watched.events == [("opened", "cleared")[i % 2] for i in range(len(keys))]
    # A run of which a file holds but its first window begins with the next file: it is seen one window later.
    whole = {alert.opened_end: alert.cleared_end for alert in Watched(profile).take(values).alerts.values()}
    for alert in watched.alerts.values():
        assert alert.cleared_end in [whole.get(alert.opened_end - late, 0) for late in (0, 5)]
