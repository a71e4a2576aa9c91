"""Labels in the store, over every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store_cases import T0, at, keys

from sensorwatch.alerts.handling import AlertAction
from sensorwatch.alerts.records import Alert, AlertChanges, AlertState, Anomaly
from sensorwatch.sensors.labels import LabelSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sensorwatch.store import SqlStore

pytest_plugins = ["store_databases"]

FAULT = LabelSpan(0, T0 + 10, T0 + 20, anomalous=True)
TIME = LabelSpan(0, T0 + 5, T0 + 60, anomalous=False)


def anomaly(sensor_id: int, end: int) -> Anomaly:
    return Anomaly(sensor_id, T0 + end, 9.0, 80.0, "high", 1.0, 5.0, "v1")


def alerting(sensor_id: int, opened: int, last: int) -> Callable[[Mapping[int, AlertState]], AlertChanges]:
    alert = Alert(f"alert-{sensor_id}-{opened}", sensor_id, T0 + opened, T0 + last, T0 + last, 2, 80.0, "high")
    return lambda _: AlertChanges(states=(), alerts=(alert,), notifications=())


def test_labels_stored_twice_are_there_once(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    assert store.add_labels([FAULT, TIME]) == 2
    assert store.add_labels([TIME, FAULT]) == 0
    assert store.label_spans() == [TIME, FAULT]


def test_a_shard_has_its_own_labels(store: SqlStore) -> None:
    store.sensor_ids(keys(12))
    other = LabelSpan(11, T0 + 5, T0 + 5, anomalous=True)
    store.add_labels([FAULT, other])
    assert store.label_spans(0) == [FAULT]
    assert store.label_spans(1) == [other]
    assert store.shard_labels(1, None, at(100)).spans == [other]


def test_labels_are_removed_by_sensor(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    other = LabelSpan(1, T0 + 5, T0 + 5, anomalous=True)
    store.add_labels([FAULT, TIME, other])
    assert store.remove_labels([0]) == 2
    assert store.remove_labels([0]) == 0
    assert store.label_spans() == [other]


def test_judged_alerts_are_labels_and_others_are_not(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    for sensor_id in (0, 1, 2):
        store.publish([anomaly(sensor_id, 10)], [], [sensor_id], alerting(sensor_id, 10, 30))
    store.act(f"alert-0-{10}", AlertAction("feedback", "ada", verdict="confirmed"))
    store.act(f"alert-1-{10}", AlertAction("feedback", "ada", verdict="false-alarm"))
    assert store.label_spans(0) == [
        LabelSpan(0, T0 + 10, T0 + 30, anomalous=True),
        LabelSpan(1, T0 + 10, T0 + 30, anomalous=False),
    ]


def test_anomalies_of_the_same_time_come_with_the_labels(store: SqlStore) -> None:
    store.sensor_ids(keys(12))
    store.publish([anomaly(0, 10), anomaly(0, 20), anomaly(11, 20)], [], [], lambda _: AlertChanges((), (), ()))
    known = store.shard_labels(0, at(10), at(20))
    assert list(known.found) == [(0, T0 + 20)]
