"""Stored results of real-time scoring, on every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from store_cases import HUB, NOTHING, NOW, T0, at, keys, run_of, spec

from sensorwatch.alerts.records import AlertChanges, AlertState, Anomaly, PublishOutcome
from sensorwatch.ingestion.records import Partition
from sensorwatch.realtime.latency_histogram import LatencyHistogram
from sensorwatch.realtime.records import (
    ModelAnswer,
    ModelUse,
    RefusedVersion,
    ServedWindow,
    ServingCounts,
    ServingStatus,
)
from sensorwatch.store import SqlStore, retention
from sensorwatch.store.dialects.mssql import MssqlDialect
from sensorwatch.store.dialects.sqlite import SqliteDialect

pytest_plugins = ["store_databases"]

COUNTS = ServingCounts(received=21, scored=1, not_in_time=2, without_model=3, late=4, duplicate=5, invalid=6)


def decide_nothing(states: Mapping[int, AlertState]) -> AlertChanges:
    return AlertChanges([], [], [])


def anomaly(sensor_id: int, end: int, score: float = 90.0) -> Anomaly:
    return Anomaly(sensor_id, T0 + end, 1.5, score, "high", None, 2.0, "v1", T0 - 100, T0)


def served(sensor_id: int, end: int, readings: int = 1, score: float = 90.0) -> ServedWindow:
    answers = {"own": ModelAnswer(score, "v1", 0.25), "other": None}
    return ServedWindow(sensor_id, T0 + end, readings, 1.5, score, "own", "majority", "v1", answers, NOW)


def publish(store: SqlStore, *found: Anomaly, withdrawn: tuple[tuple[int, int], ...] = ()) -> PublishOutcome:
    windows = [served(each.sensor_id, each.end - T0) for each in found]
    return store.publish_served(windows, found, [(i, T0 + end) for i, end in withdrawn], [], decide_nothing)


def use(uses: int, version: str = "v1", since: int = 0, seconds: float = 0.5) -> ModelUse:
    return ModelUse(
        "own",
        "ocsvm",
        at(since),
        version,
        at(since),
        uses,
        1,
        2,
        3,
        LatencyHistogram(Counter({7: 1}), seconds, seconds),
    )


def test_anomalies_of_real_time_are_those_of_batch_scoring(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    assert publish(store, anomaly(0, 5), anomaly(1, 5)) == PublishOutcome(2, 0, 0, 0)
    assert publish(store, anomaly(0, 5, 60.0), withdrawn=((1, 5),)) == PublishOutcome(0, 1, 0, 0)
    assert store.anomalies() == [anomaly(0, 5, 60.0)]
    assert store.publish([anomaly(0, 5, 70.0)], [], [], decide_nothing) == NOTHING
    assert store.anomalies() == [anomaly(0, 5, 70.0)]


def test_answers_of_models_come_back_newest_first(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    windows = [served(0, 5), served(0, 5, readings=2, score=20.0), served(1, 10)]
    for _ in range(2):
        store.publish_served(windows, [], [], [], decide_nothing)
    assert store.served_windows() == [windows[2], windows[1], windows[0]]
    assert store.served_windows(sensor_id=0, limit=1) == [windows[1]]


def test_windows_that_a_run_was_planned_past_are_left_to_it(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    publish(store, anomaly(1, 5))
    store.begin_run(run_of(spec("score-1", 0, 10)), NOW)
    assert publish(store, anomaly(0, 10), anomaly(0, 15), withdrawn=((1, 5),)) == PublishOutcome(1, 0, 0, 0)
    assert [(each.sensor_id, each.end - T0) for each in store.anomalies()] == [(0, 15), (1, 5)]


def test_anomalies_of_real_time_are_found_by_sensor_and_range(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    publish(store, anomaly(0, 5), anomaly(0, 10), anomaly(1, 10))
    store.publish([anomaly(0, 15), anomaly(2, 10)], [], [], decide_nothing)
    assert store.served_anomalies([0, 2], T0 + 6, T0 + 20) == [anomaly(0, 10)]
    assert store.served_anomalies([], T0, T0 + 20) == []


def test_sensors_with_anomalous_windows_among_the_recent_ones_are_unsettled(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    states = [AlertState(0, T0, (None, None), None), AlertState(1, T0, (None, 80.0), None)]
    store.publish([], [], [], lambda _: AlertChanges(states, [], []))
    assert store.unsettled_sensors([0, 1, 2]) == {1}
    assert store.unsettled_sensors([]) == set()


def test_counts_and_uses_add_up(store: SqlStore, open_one: Callable[[], SqlStore]) -> None:
    other = Partition("readings", "serving", "1")
    store.add_serving({HUB: COUNTS}, [use(10)], NOW)
    open_one().add_serving({HUB: COUNTS, other: ServingCounts()}, [use(5, "v2", since=60, seconds=0.25)], at(60))
    twice = ServingCounts(*(2 * each for each in COUNTS))
    assert store.serving_status() == [ServingStatus(HUB, twice, at(60)), ServingStatus(other, ServingCounts(), at(60))]
    (total,) = store.model_uses()
    assert total == ModelUse(
        "own", "ocsvm", NOW, "v2", at(60), 15, 2, 4, 6, LatencyHistogram(Counter({7: 2}), 0.75, 0.5)
    )


def test_nothing_to_add_changes_nothing(store: SqlStore) -> None:
    store.add_serving({}, [], NOW)
    assert store.serving_status() == []
    assert store.model_uses() == []


def test_a_refused_version_is_noted_until_another_is_accepted(store: SqlStore) -> None:
    first, second = (RefusedVersion("own", 3, version, "no good", NOW) for version in ("v1", "v2"))
    store.refuse_version(first)
    store.refuse_version(second)
    assert store.refused_versions() == [second]
    store.accept_version("own", 4)
    assert store.refused_versions() == [second]
    store.accept_version("own", 3)
    assert store.refused_versions() == []


# ---- retention -------------------------------------------------------------------------------------------------------


def store_served(store: SqlStore) -> None:
    """Store what models said of five windows of two sensors, twice of each."""
    store.sensor_ids(keys(2))
    windows = [served(i, end, readings=n) for i in (0, 1) for end in (5, 10, 15, 20, 25) for n in (1, 2)]
    store.publish_served(windows, [], [], [], decide_nothing)


def kept(store: SqlStore) -> list[tuple[int, int]]:
    return sorted((each.end - T0, each.sensor_id) for each in store.served_windows())


@pytest.mark.parametrize("rows", [1, 3, 12, 2000])
def test_answers_of_models_are_deleted_with_their_windows(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(retention, "_SERVED_ROWS", rows)
    store_served(store)
    for _ in range(2):
        store.delete_windows(at(15))
        assert kept(store) == [(20, 0), (20, 0), (20, 1), (20, 1), (25, 0), (25, 0), (25, 1), (25, 1)]


def test_retention_that_was_killed_half_way_goes_on_where_it_stopped(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_SERVED_ROWS", 4)
    store_served(store)
    with monkeypatch.context() as broken:
        for dialect in (SqliteDialect, MssqlDialect):
            broken.setattr(dialect, "delete", dies_at_second_call(dialect.delete))
        with pytest.raises(InterruptedError):
            store.delete_windows(at(25))
    assert sorted({end for end, _ in kept(store)}) == [10, 15, 20, 25]
    store.delete_windows(at(25))
    assert kept(store) == []


def dies_at_second_call(work: Callable[..., int]) -> Callable[..., int]:
    calls = []

    def delete(*arguments: object) -> int:
        calls.append(arguments)
        deleted = work(*arguments)
        if len(calls) == 2:
            raise InterruptedError
        return deleted

    return delete
