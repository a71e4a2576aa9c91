"""Alerts of machines that people confirmed become failures that models are trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from machine_fleets import START, fleet

from sensorwatch.alerts.handling import AlertAction, Verdict
from sensorwatch.alerts.records import Alert, AlertChanges, AlertKind
from sensorwatch.config.machines import MachineSection
from sensorwatch.errors import InvalidInputError
from sensorwatch.machines.card import model_card
from sensorwatch.machines.confirmed import ConfirmedOutcome, join_confirmed
from sensorwatch.machines.feedback import confirmed_faults
from sensorwatch.machines.fleet import COMPONENTS, ConfirmedFault, Events, Fleet
from sensorwatch.machines.records import MachineInfo
from sensorwatch.machines.training import TrainingPlan, labelled_samples, measure_model, summary_of, train_model
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import SqlStore, open_store

DAY = 86_400
HORIZON = int(3.5 * DAY)
DAYS = 120
END = START + DAYS * DAY
PLAN = TrainingPlan(recipe="tree", validation_days=30, test_days=30)
NOTHING = Events(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int8))


def fault(
    day: float, machine: int = 1, component: str | None = "comp2", name: str = "", known: float | None = None
) -> ConfirmedFault:
    at = START + int(day * DAY)
    return ConfirmedFault(
        name or f"{machine}-{day}", machine, component, at, START + int((day if known is None else known) * DAY)
    )


def failures(*found: tuple[int, float, int]) -> Events:
    rows = sorted((machine, START + int(day * DAY), kind) for machine, day, kind in found)
    machine, time, kind = (np.array(column) for column in zip(*rows, strict=True))
    return Events(machine.astype(np.int32), time.astype(np.int64), kind.astype(np.int8))


def told(recorded: Events, *faults: ConfirmedFault) -> Fleet:
    return replace(fleet(), failures=recorded, confirmed=faults)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (fault(20), "joined"),
        (fault(10 + 3.5), "recorded"),
        (fault(10 - 3.5), "recorded"),
        (fault(10 + 3.6), "joined"),
        (fault(10, component="comp1"), "joined"),
        (fault(10, machine=2), "joined"),
        (fault(20, component=None), "no component"),
        (fault(20, machine=999), "unknown machine"),
    ],
)
def test_a_confirmed_alert_is_a_failure_unless_the_data_have_it(
    given: ConfirmedFault, outcome: ConfirmedOutcome
) -> None:
    joined = join_confirmed(told(failures((0, 10, 1), (0, 60, 1)), given), HORIZON)
    assert joined.outcomes == (outcome,)
    assert len(joined.failures.time) == 2 + (outcome == "joined")
    assert joined.counts[outcome] == 1
    assert sum(joined.counts.values()) == 1


def test_several_alerts_of_one_fault_are_one_failure_and_those_after_the_horizon_another() -> None:
    given = told(NOTHING, fault(24), fault(20), fault(22, name="b"), fault(22, name="a", component="comp3"))
    joined = join_confirmed(given, HORIZON)
    assert joined.outcomes == ("joined", "joined", "repeated", "joined")
    assert joined.failures.time.tolist() == [START + day * DAY for day in (20, 22, 24)]
    assert joined.failures.kind.tolist() == [1, 2, 1]


def test_alerts_given_twice_and_in_any_order_change_nothing() -> None:
    faults = [fault(day, machine) for day in (5, 6, 30, 31, 50) for machine in (1, 2, 3)]
    once = join_confirmed(told(fleet().failures, *faults), HORIZON)
    twice = join_confirmed(told(fleet().failures, *faults[::-1], *faults), HORIZON)
    assert len(once.failures.time) > len(fleet().failures.time)
    for before, after in zip(once.failures, twice.failures, strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_later_confirmation_changes_no_label_of_the_time_before() -> None:
    given = told(NOTHING, fault(20, known=40))
    before, after = START + 40 * DAY - 1, START + 40 * DAY
    assert given.until(before).confirmed == ()
    assert given.until(after).confirmed == given.confirmed
    assert not labelled_samples(given.until(before), PLAN, None, before).fails.any()
    known = labelled_samples(given.until(after), PLAN, None, after)
    assert known.confirmed["joined"] == 1
    failing = known.table.sample[known.fails[:, 1]]
    assert (known.table.machine[known.fails[:, 1]] == 0).all()
    assert failing.tolist() == [(START // DAY + 20) * 2 - back for back in range(7, 0, -1)]


def all_as_alerts(whole: Fleet) -> Fleet:
    """Nobody wrote the failures down, but each was an alert that somebody confirmed."""
    rows = zip(*(each.tolist() for each in whole.failures), strict=True)
    confirmed = tuple(
        ConfirmedFault(f"{i}", int(whole.machines.machine_id[machine]), COMPONENTS[kind], time, time)
        for i, (machine, time, kind) in enumerate(rows)
    )
    return replace(whole, failures=NOTHING, confirmed=confirmed)


def test_confirmed_alerts_alone_train_the_model_that_failures_train() -> None:
    whole = fleet(15, DAYS)
    alerts = all_as_alerts(whole)
    with pytest.raises(InvalidInputError, match="samples before a failure"):
        train_model(replace(alerts, confirmed=()), PLAN, None, END)
    expected, found = measure_model(whole, PLAN, None, END), measure_model(alerts, PLAN, None, END)
    # Failures of one component within the horizon are one, where alerts tell of them.
    assert found.samples.confirmed["joined"] > 0.95 * len(whole.failures.time)
    assert (found.samples.fails == expected.samples.fails).mean() > 0.995
    assert found.metrics.pooled.f1 == pytest.approx(expected.metrics.pooled.f1, abs=0.1)
    assert found.metrics.pooled.recall > 0.05


def test_the_card_says_what_became_of_confirmed_alerts() -> None:
    whole = replace(fleet(15, DAYS), confirmed=(fault(20), fault(30, component=None), fault(END, known=999)))
    manifest = summary_of(train_model(whole, PLAN, None, END)) | {
        "version": "v",
        "window_end": "2015",
        "machines": 15,
        "readings": 1,
        "failures": 2,
    }
    assert manifest["confirmed_alerts"] == {
        "joined": 1,
        "recorded": 0,
        "repeated": 0,
        "no component": 1,
        "unknown machine": 0,
    }
    assert "1 added as failures, 1 without a component" in model_card(manifest)
    del manifest["confirmed_alerts"]
    assert "Confirmed alerts" not in model_card(manifest)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    now = datetime.fromtimestamp(START, UTC) + timedelta(days=2, milliseconds=500)
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=10, clock=lambda: now)
    yield opened
    opened.dispose()


def judged(
    store: SqlStore, key: tuple[str, str], verdict: Verdict = "confirmed", day: float = 1.0, kind: AlertKind = "anomaly"
) -> str:
    """Store an alert that a person judges on the second day; return its id."""
    sensor = SensorKey(*key)
    sensor_id = store.sensor_ids([sensor])[sensor]
    last = START + int(day * DAY)
    alert = Alert(f"{sensor_id}-{kind}", sensor_id, last - 600, last, None, 3, 90.0, "high", kind)
    store.settle_alerts({alert.alert_id}, lambda _: AlertChanges(states=(), alerts=[alert], notifications=()))
    store.act(alert.alert_id, AlertAction("feedback", "Ada", verdict=verdict))
    return alert.alert_id


def test_confirmed_alerts_of_machines_are_faults_of_the_component_that_the_rules_name(store: SqlStore) -> None:
    store.put_machines([MachineInfo(3, "model1", 4.0)])
    section = MachineSection.model_validate(
        {"components": [{"device": 3, "tag": "motor*", "component": "comp1"}, {"tag": "vib*", "component": "comp4"}]}
    )
    vibration = judged(store, ("3", "vibration"))
    noise = judged(store, ("3", "noise"))
    open_still = judged(store, ("3", "motor current"), day=2.5)
    risk = judged(store, ("3", "failure risk of comp2"), kind="failure-risk")
    judged(store, ("3", "vibration 2"), "false-alarm")
    judged(store, ("3", "vibration 3"), kind="no-data")
    judged(store, ("press-3", "vibration"))
    judged(store, ("4", "vibration"))
    judged(store, ("03", "vibration"))
    seen, known = START + DAY + 1, START + 2 * DAY + 1
    expected = [
        ConfirmedFault(vibration, 3, "comp4", seen, known),
        ConfirmedFault(noise, 3, None, seen, known),
        ConfirmedFault(risk, 3, "comp2", seen, known),
        ConfirmedFault(open_still, 3, "comp1", known, known),
    ]
    found = confirmed_faults(store.labels(), section, store.machines())
    assert sorted(found) == sorted(expected)
    store.act(vibration, AlertAction("feedback", "Ada", verdict="false-alarm"))
    assert vibration not in {each.alert_id for each in confirmed_faults(store.labels(), section, store.machines())}
