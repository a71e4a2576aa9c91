"""Warnings of machines' components become alerts, and are over: the pure rules, and the same over SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alerts.handling import AlertFilter
from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.clock import parse_zone
from sensorwatch.config.alerts import AlertRule, AlertSection
from sensorwatch.machines.failure_risk import QUIET_SECONDS, risk_episodes, risk_key
from sensorwatch.machines.records import MachineInfo, MachineRisk, RiskReason
from sensorwatch.machines.watch import watch_machines
from sensorwatch.sensors.downtime import Downtime
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings.local_times import newest_due, parse_times
from sensorwatch.store import SqlStore, open_store

NOW = 1_425_168_000
HALF_DAY = 43_200
REASONS = (RiskReason("volt", "volt averages 190 over 24 h, usually 170", 2.5),)


def risk(
    half_day: int, warns: bool = True, machine: int = 3, component: str = "comp2", value: float = 0.6
) -> MachineRisk:
    return MachineRisk(machine, component, NOW + half_day * HALF_DAY, value, 0.2, warns, REASONS if warns else (), "v1")


def policy(*rules: AlertRule, downtimes: list[Downtime] | None = None) -> AlertPolicy:
    return AlertPolicy(AlertDefaults(AlertRules(3, 5, 300)), AlertSection(rules=rules), downtimes or [])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10)
    yield opened
    opened.dispose()


def watch(store: SqlStore, half_day: int, given: AlertPolicy | None = None) -> tuple[int, int]:
    return watch_machines(0, 9, NOW + half_day * HALF_DAY, fewest=2, store=store, policy=given or policy())


def test_two_warnings_open_an_alert_and_a_quiet_day_clears_it(store: SqlStore) -> None:
    store.put_risks([risk(0), risk(1, warns=False)])
    assert watch(store, 1) == (0, 0)
    assert store.sensors() == []
    store.put_risks([risk(2, value=0.9)])
    assert watch(store, 2) == (1, 0)
    assert watch(store, 2) == (0, 0)
    (alert,) = store.alerts()
    assert (alert.kind, alert.anomalies, alert.peak_score, alert.severity) == ("failure-risk", 2, 90.0, "critical")
    assert (alert.opened_end, alert.expected_high) == (NOW + 2 * HALF_DAY, 0.2)
    (sensor,) = store.sensors()
    assert sensor.key == SensorKey("3", "failure risk of comp2") == SensorKey(*risk_key(3, "comp2"))
    store.put_risks([risk(3), risk(4, warns=False)])
    assert watch(store, 4) == (0, 0)
    assert store.alerts()[0].anomalies == 3
    store.put_risks([risk(5, warns=False)])
    assert watch(store, 5) == (0, 1)
    assert store.alerts()[0].cleared_end == NOW + 3 * HALF_DAY + QUIET_SECONDS
    assert watch(store, 5) == (0, 0)
    assert sorted(each.key.rpartition(":")[2] for each in store.pending_notifications()) == ["cleared", "opened"]


def test_scoring_past_windows_for_the_first_time_opens_no_alert(store: SqlStore) -> None:
    store.put_risks([risk(half_day) for half_day in range(6)])
    assert watch(store, 20) == (0, 0)
    assert store.alerts() == []


def test_rules_and_planned_maintenance_hold_for_machines_too(store: SqlStore) -> None:
    store.put_risks([risk(0), risk(1)])
    assert watch(store, 1, policy(AlertRule(tag="failure risk of *", enabled=False))) == (0, 0)
    assert watch(store, 1, policy(AlertRule(tag="failure risk of *", anomalous_windows=3))) == (0, 0)
    at = datetime.fromtimestamp(NOW, UTC)
    planned = Downtime.model_validate({"device": "3", "from": at, "to": at.replace(day=at.day + 2)})
    assert watch(store, 1, policy(downtimes=[planned])) == (0, 0)
    assert watch(store, 1) == (1, 0)


def test_machines_of_other_shards_keep_their_alerts(store: SqlStore) -> None:
    store.put_risks([risk(0, machine=20), risk(1, machine=20)])
    assert watch_machines(10, 29, NOW + HALF_DAY, fewest=2, store=store, policy=policy()) == (1, 0)
    assert watch(store, 9) == (0, 0)
    assert len(store.handled_alerts(AlertFilter(kind="failure-risk", unresolved=True))) == 1


def test_an_alert_whose_warnings_are_withdrawn_is_over(store: SqlStore) -> None:
    store.put_risks([risk(0), risk(1)])
    assert watch(store, 1) == (1, 0)
    store.put_risks([risk(0, warns=False), risk(1, warns=False)])
    assert watch(store, 1) == (0, 1)


@given(st.lists(st.integers(0, 60), unique=True, max_size=30))
def test_an_episode_ends_where_a_component_is_quiet_for_more_than_a_day(half_days: list[int]) -> None:
    found = risk_episodes([risk(half_day) for half_day in sorted(half_days)])
    if not half_days:
        assert found == []
        return
    times = [each.end for each in found[0].warnings]
    assert times[-1] == NOW + max(half_days) * HALF_DAY
    assert all(later - earlier <= QUIET_SECONDS for earlier, later in pairwise(times))
    before = [each for each in half_days if NOW + each * HALF_DAY < times[0]]
    assert not before or times[0] - (NOW + max(before) * HALF_DAY) > QUIET_SECONDS


def test_risks_come_back_as_they_were_and_the_newest_stand_for_their_machine(store: SqlStore) -> None:
    store.put_machines([MachineInfo(3, "model1", 4.0), MachineInfo(4, "modell ä", 0.0)])
    store.put_machines([MachineInfo(3, "model2", 5.0)])
    assert store.machines() == [MachineInfo(3, "model2", 5.0), MachineInfo(4, "modell ä", 0.0)]
    assert store.machines(4, 9) == [MachineInfo(4, "modell ä", 0.0)]
    store.put_risks([risk(0), risk(1, warns=False), risk(0, machine=4)])
    store.put_risks([risk(0, value=0.7)])
    assert store.risks(3) == [risk(0, value=0.7), risk(1, warns=False)]
    assert store.risks(3, NOW, NOW + HALF_DAY) == [risk(1, warns=False)]
    assert store.newest_risks() == [risk(1, warns=False), risk(0, machine=4)]
    assert store.warnings_after(NOW - 1, 0, 3) == [risk(0, value=0.7)]


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-29T03:59:00Z", "2026-03-28T19:00:00Z"),
        ("2026-03-29T04:00:00Z", "2026-03-29T04:00:00Z"),
        ("2026-10-25T04:59:00Z", "2026-10-24T18:00:00Z"),
        ("2026-10-25T05:00:00Z", "2026-10-25T05:00:00Z"),
    ],
)
def test_local_times_follow_the_clocks_of_their_zone(now: str, due: str) -> None:
    found = newest_due(datetime.fromisoformat(now), parse_times("06:00 20:00"), parse_zone("Europe/Berlin"))
    assert found == datetime.fromisoformat(due)


@pytest.mark.parametrize("text", ["", "6 o'clock", "06:00Z", "25:00"])
def test_an_invalid_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="06:00 18:00"):
        parse_times(text)
