"""State of a sensor as it is shown, the same in Python and in SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, get_args

import pytest
from store_cases import HUB, NOW, at, checkpoint, counts, keys, window

from sensorwatch.sensors.records import SensorKey, SensorState, SensorStatus, TrainingOutcome
from sensorwatch.sensors.states import Freshness, SensorQuery, shown

if TYPE_CHECKING:
    from sensorwatch.store import SqlStore

pytest_plugins = ["store_databases"]

FRESH = Freshness.at(at(1000), no_data_seconds=100, model_stale_seconds=500)
EVERYTHING = SensorQuery()


def sensor(
    state: SensorState, reason: str = "", *, last: int | None = None, trained: int | None = None
) -> SensorStatus:
    times = [None if seconds is None else at(seconds) for seconds in (last, trained)]
    return SensorStatus(1, SensorKey("d", "t"), 0, NOW, times[0], state, reason, times[1], "v")


@pytest.mark.parametrize(
    ("stored", "state", "reason"),
    [
        (sensor("no-data"), "no-data", "no windows yet"),
        (sensor("no-data", last=990), "warming", "not trained yet"),
        (sensor("warming", "63 of 100 windows", last=990), "warming", "63 of 100 windows"),
        (sensor("failed", "why", last=5), "failed", "why"),
        (sensor("stale", "why", last=5, trained=0), "stale", "why"),
        (sensor("ready", last=990, trained=700), "ready", ""),
        (sensor("ready", last=900, trained=500), "ready", ""),
        (sensor("ready", last=899, trained=700), "stale", "no windows since 2026-11-20T10:29:59Z"),
        (sensor("ready", last=990, trained=499), "stale", "not trained since 2026-11-20T10:23:19Z"),
        (sensor("ready", last=499, trained=499), "stale", "no windows since 2026-11-20T10:23:19Z"),
    ],
)
def test_time_makes_a_ready_sensor_stale(stored: SensorStatus, state: str, reason: str) -> None:
    found = shown(stored, FRESH)
    assert (found.state, found.reason) == (state, reason)


def test_a_sensor_that_is_quiet_by_nature_is_not_stale_for_a_lack_of_training() -> None:
    patient = Freshness.at(at(1000), no_data_seconds=10_000, model_stale_seconds=500)
    assert shown(sensor("ready", last=100, trained=100), patient).state == "ready"
    assert shown(sensor("ready", last=101, trained=100), patient).state == "stale"


def test_freshness_is_counted_in_whole_seconds() -> None:
    now = datetime(2026, 11, 20, 12, 0, 0, 999_999, tzinfo=UTC)
    fresh = Freshness.at(now, no_data_seconds=60, model_stale_seconds=3600)
    assert fresh == Freshness(now.replace(microsecond=0) - timedelta(minutes=1), datetime(2026, 11, 20, 11, tzinfo=UTC))


def test_the_store_finds_by_the_same_rules(store: SqlStore) -> None:
    states = get_args(SensorState)
    cases = list(product(states, (None, 899, 900, 990), (None, 499, 500, 900, 995)))
    store.sensor_ids(keys(len(cases)))
    windows = [window(i, last, 1.0) for i, (_, last, _) in enumerate(cases) if last is not None]
    windows.sort(key=lambda each: (each.end, each.sensor_id))
    store.commit_ingest(HUB, None, checkpoint(1), windows, counts(len(windows)))
    store.record_training(
        [
            TrainingOutcome(i, state, "why", None if trained is None else at(trained), "v")
            for i, (state, _, trained) in enumerate(cases)
        ]
    )
    expected = [shown(each, FRESH) for each in store.sensors()]
    assert store.find_sensors(EVERYTHING, FRESH, limit=1000) == expected
    for state in states:
        found = store.find_sensors(SensorQuery(state=state), FRESH, limit=1000)
        assert found == [each for each in expected if each.state == state]
    assert store.count_states(EVERYTHING, FRESH) == {
        state: sum(each.state == state for each in expected) for state in states
    }


def test_sensors_are_found_by_name_and_page_by_page(store: SqlStore) -> None:
    names = [SensorKey(device, tag) for device in ("a", "a ", "A") for tag in ("t", "u")]
    store.sensor_ids(names)
    assert [each.key for each in store.find_sensors(SensorQuery(device="a"), FRESH)] == names[:2]
    assert [each.key for each in store.find_sensors(SensorQuery(device="a ", tag="u"), FRESH)] == [names[3]]
    pages = [store.find_sensors(SensorQuery(after_id=after), FRESH, limit=4) for after in (None, 3)]
    assert [each.key for page in pages for each in page] == names
    assert store.count_states(SensorQuery(tag="u"), FRESH)["no-data"] == 3
    assert store.find_sensors(SensorQuery(device="'; --"), FRESH) == []


@pytest.mark.parametrize("few", [0, 1, 2000])
def test_a_search_finds_the_same_whether_there_are_few_or_many(
    store: SqlStore, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorwatch.store.sensors._FEW_FOUND", few)
    devices = ["pump", "pump-1", "Pump", "pumq", "pum", "50%", "ab", "a\ud7ff", "a\ue000b", "a\uffffb", "a\U0001f600b"]
    names = [*(SensorKey(device, "t") for device in devices), SensorKey("x", "pump"), SensorKey("x", "pum")]
    store.sensor_ids(names)
    for text in ("pump", "p", "50%", "5", "a", "a\ud7ff", "a\ue000", "a\uffff", "a\U0001f600", "\U0001f600", "pump-12"):
        found = store.find_sensors(SensorQuery(search=text), FRESH)
        assert [each.key for each in found] == [
            key for key in names if key.device.startswith(text) or key.tag.startswith(text)
        ]
        assert sum(store.count_states(SensorQuery(search=text), FRESH).values()) == len(found)


def test_counts_are_of_what_a_query_finds(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    store.record_training(
        [TrainingOutcome(0, "ready", "", at(900), "v"), TrainingOutcome(1, "failed", "why", None, "")]
    )
    nothing = dict.fromkeys(get_args(SensorState), 0)
    assert store.count_states(EVERYTHING, FRESH) == nothing | {"ready": 1, "failed": 1, "no-data": 1}
    assert store.count_states(SensorQuery(state="failed"), FRESH) == nothing | {"failed": 1}
    assert store.count_states(SensorQuery(after_id=0), FRESH) == nothing | {"failed": 1, "no-data": 1}


def test_names_come_by_id(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    assert store.sensor_keys([2, 0, 7]) == {0: keys(3)[0], 2: keys(3)[2]}
    assert store.sensor_keys([]) == {}
