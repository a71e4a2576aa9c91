"""Sensors and windows of the store, over SQLite, and over SQL Server where one is named."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from store_cases import HUB, NOW, SHARD_SIZE, T0, as_rows, at, checkpoint, counts, keys, window

from sensorwatch.errors import CheckpointConflictError, InvalidInputError, SettingsError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Window
from sensorwatch.sensors.records import SensorKey, TrainingOutcome
from sensorwatch.store import open_store, upgrade
from sensorwatch.store.connection.engine import open_engine
from sensorwatch.store.tables import REVISION

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.alerts.deliver import DeliveryStore
    from sensorwatch.alerts.publish import PublishingStore
    from sensorwatch.ingestion.ports import IngestStore, RetentionStore
    from sensorwatch.machines.ports import MachineStore
    from sensorwatch.realtime.ports import ServingStore
    from sensorwatch.scheduling.missed_cycles import CycleStore
    from sensorwatch.scheduling.ports import RunStore
    from sensorwatch.scheduling.sweep import SweepStore
    from sensorwatch.sensors.ports import LabelStore, SensorStore
    from sensorwatch.sensors.windows import WindowStore
    from sensorwatch.store import SqlStore

pytest_plugins = ["store_databases"]


# ---- opening ---------------------------------------------------------------------------------------------------------


def test_the_store_serves_the_ports_of_every_domain(store: SqlStore) -> None:
    # The type checker reads these annotations: a method that differs from its port fails `make check`.
    ingestion: IngestStore = store
    retention: RetentionStore = store
    windows: WindowStore = store
    sensors: SensorStore = store
    labels: LabelStore = store
    runs: RunStore = store
    sweep: SweepStore = store
    cycles: CycleStore = store
    publishing: PublishingStore = store
    deliveries: DeliveryStore = store
    serving: ServingStore = store
    machines: MachineStore = store
    ports = [ingestion, retention, windows, sensors, labels, runs, sweep, cycles, publishing]
    assert {id(port) for port in [*ports, deliveries, serving, machines]} == {id(store)}


def test_check_names_the_server_and_the_revision(store: SqlStore) -> None:
    assert store.check().startswith(("SQLite 3.", "Microsoft SQL"))
    assert store.check().endswith(f", revision {REVISION}")


def test_another_shard_size_is_refused_with_both_numbers(store: SqlStore, database_url: str) -> None:
    with pytest.raises(SettingsError, match=r"SHARD_SIZE: expected 10, .* got 11"):
        open_store(database_url, shard_size=11)


def test_stores_that_open_a_new_database_at_once_do_not_collide(database_url: str) -> None:
    def open_and_check(_: int) -> str:
        one = open_store(database_url, shard_size=SHARD_SIZE)
        try:
            return one.check()
        finally:
            one.dispose()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(open_and_check, range(4)))) == 1


def test_a_database_of_a_newer_version_is_refused(store: SqlStore, database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(SettingsError, match="revision 9999"):
            upgrade(engine)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :at"), {"at": REVISION})
        engine.dispose()


# ---- sensors ---------------------------------------------------------------------------------------------------------


def test_sensors_get_dense_ids_in_first_seen_order(store: SqlStore) -> None:
    a, b, c = keys(3)
    assert store.sensor_ids([b, a]) == {b: 0, a: 1}
    assert store.sensor_ids([c, a, b]) == {c: 2, a: 1, b: 0}
    assert [(s.sensor_id, s.key, s.shard, s.first_seen, s.state, s.last_window) for s in store.sensors()] == [
        (0, b, 0, NOW, "no-data", None),
        (1, a, 0, NOW, "no-data", None),
        (2, c, 0, NOW, "no-data", None),
    ]


def test_another_process_finds_the_same_ids(store: SqlStore, open_one: Callable[[], SqlStore]) -> None:
    other = open_one()
    first = store.sensor_ids(keys(3))
    assert other.sensor_ids(keys(5)) == {**first, keys(5)[3]: 3, keys(5)[4]: 4}
    assert store.sensor_ids(keys(6))[keys(6)[5]] == 5


def test_names_are_compared_exactly(store: SqlStore) -> None:
    names = [
        "a",
        "A",
        "a ",
        " a",
        "a  ",
        "ä",
        "a\u0308",
        "2",
        "02",
        "\U0001f321" * 64,
        "'; DROP TABLE Sensors --",
        "a\x00b",
    ]
    wanted = [SensorKey(name, tag) for name in names for tag in ("t", "t ", "T")]
    ids = store.sensor_ids(wanted)
    assert list(ids.values()) == list(range(len(wanted)))
    assert [sensor.key for sensor in store.sensors()] == wanted


@pytest.mark.parametrize("name", ["", "x" * 65, "\ud800"])
def test_names_that_can_not_be_stored_are_refused(store: SqlStore, name: str) -> None:
    with pytest.raises(InvalidInputError):
        store.sensor_ids([SensorKey("fine", "t"), SensorKey(name, "t")])
    assert store.sensors() == []


def test_processes_racing_for_new_sensors_agree_without_gaps(open_one: Callable[[], SqlStore]) -> None:
    stores = [open_one() for _ in range(4)]
    shares = [keys(30)[i:] + keys(30)[:i] for i in (0, 7, 13, 22)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda pair: pair[0].sensor_ids(pair[1]), zip(stores, shares, strict=True)))
    assert all(result == results[0] for result in results)
    assert sorted(results[0].values()) == list(range(30))


def test_threads_of_one_process_racing_for_new_sensors_agree(store: SqlStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: store.sensor_ids(keys(10 + i)), range(8)))
    assert sorted(store.sensor_ids(keys(17)).values()) == list(range(17))
    assert all(result.items() <= results[-1].items() for result in results)


def test_sensors_of_a_shard(store: SqlStore) -> None:
    store.sensor_ids(keys(25))
    assert [sensor.sensor_id for sensor in store.sensors(shard=1)] == list(range(10, 20))
    assert [sensor.shard for sensor in store.sensors(shard=2)] == [2] * 5
    assert store.sensors(shard=7) == []


def test_training_is_recorded_and_never_moves_back(store: SqlStore) -> None:
    store.sensor_ids(keys(3))
    ready = TrainingOutcome(1, "ready", "", at(100), "v2")
    for _ in range(2):
        store.record_training([ready, TrainingOutcome(2, "warming", "50 of 100 windows " + "\u00e9" * 2000, None, "")])
    _, one, two = store.sensors()
    assert (one.state, one.reason, one.trained_until, one.model_version) == ("ready", "", at(100), "v2")
    assert (two.state, two.trained_until) == ("warming", None)
    assert two.reason.startswith("50 of 100 windows é")
    store.record_training([replace(ready, state="stale", trained_until=at(50)), replace(ready, sensor_id=0)])
    store.record_training([replace(ready, state="failed", trained_until=None)])
    zero, one, _ = store.sensors()
    assert (one.state, one.trained_until) == ("failed", at(100))
    assert zero.state == "ready"
    store.record_training([])


def ages_ranked_one_by_one(trained: list[int], shares: tuple[float, ...]) -> list[int | None]:
    """The nearest ranks, by counting from the sensor that is trained furthest until the share is reached."""
    found: list[int | None] = []
    for share in shares:
        reached = (until for seen, until in enumerate(sorted(trained, reverse=True), 1) if seen >= len(trained) * share)
        found.append(next(reached, None))
    return found


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7, 10, 100, 101])
def test_sensors_are_ranked_by_how_far_they_are_trained(store: SqlStore, number: int) -> None:
    shares = (0.01, 0.5, 0.9, 0.99, 1.0)
    store.sensor_ids(keys(number + 2))
    # Many are trained up to the same time, and two not at all.
    trained = [5 * (i * i % 17) for i in range(number)]
    store.record_training(
        [TrainingOutcome(i, "ready", "", at(until), "v1") for i, until in enumerate(trained)]
        + [TrainingOutcome(number, "failed", "constant", None, "")]
    )
    expected = ages_ranked_one_by_one(trained, shares)
    assert store.trained_until(shares) == [None if until is None else at(until) for until in expected]
    assert store.failed_sensors() == 1


def test_the_newest_window_of_all_sensors(store: SqlStore) -> None:
    assert store.newest_window() is None
    store.sensor_ids(keys(12))
    store.commit_ingest(
        HUB, None, checkpoint(1), [window(11, 5, 1.0), window(0, 10, 1.0), window(3, -5, 1.0)], counts(3)
    )
    assert store.newest_window() == at(10)


# ---- ingestion -------------------------------------------------------------------------------------------------------


def test_a_commit_moves_checkpoint_counters_windows_and_newest(store: SqlStore) -> None:
    store.sensor_ids(keys(12))
    assert store.offset_checkpoint(HUB) is None
    assert store.ingest_status() == []
    store.commit_ingest(
        HUB, None, checkpoint(9), [window(11, 5, 1.0), window(0, 10, 2.0, 4.0), window(0, 5, 7.0)], counts(4)
    )
    assert store.offset_checkpoint(HUB) == checkpoint(9)
    store.commit_ingest(HUB, checkpoint(9), checkpoint(20), [window(0, 10, 6.0), window(0, 5, 1.5)], counts(2))
    (status,) = store.ingest_status()
    assert (status.partition, status.checkpoint, status.counts) == (HUB, checkpoint(20), IngestCounts(12, 6, 2, 2, 2))
    assert as_rows(store.read_windows(0, None, at(100))) == [(0, 5, 4.25, 2), (0, 10, 4.0, 3)]
    assert as_rows(store.read_windows(1, None, at(100))) == [(11, 5, 1.0, 1)]
    assert store.last_windows([0, 1, 11, 99]) == {0: T0 + 10, 11: T0 + 5}
    assert store.last_windows([]) == {}
    assert [s.last_window for s in store.sensors()[:2]] == [at(10), None]
    assert store.window_count() == 3


def test_every_sum_of_a_window_is_merged(store: SqlStore, rows_of: Callable[[str], list[tuple[object, ...]]]) -> None:
    store.sensor_ids(keys(1))
    store.commit_ingest(HUB, None, checkpoint(1), [window(0, 5, 1.0, -3.0)], counts(2))
    store.commit_ingest(HUB, checkpoint(1), checkpoint(2), [window(0, 5, 8.0)], counts(1))
    assert rows_of("SELECT Readings, Total, Minimum, Maximum, SumOfSquares FROM SensorWindows") == [
        (3, 6.0, -3.0, 8.0, 74.0)
    ]


def test_the_view_has_the_original_schema(store: SqlStore, rows_of: Callable[[str], list[tuple[object, ...]]]) -> None:
    store.sensor_ids(keys(1))
    store.commit_ingest(HUB, None, checkpoint(1), [window(0, 5, 1.0, 2.0)], counts(2))
    ((ts, device, tag, value),) = rows_of("SELECT TS, Device, Tag, Value FROM SensorValues")
    assert (str(ts)[:19], device, tag, value) == ("2026-11-20 10:15:05", "device-0", "temperature", 1.5)


def test_a_replayed_commit_changes_nothing(store: SqlStore) -> None:
    store.sensor_ids(keys(1))
    windows = [window(0, 5, 1.0)]
    store.commit_ingest(HUB, None, checkpoint(1), windows, counts(1))
    for expected in (None, checkpoint(0), OffsetCheckpoint(1, NOW)):
        with pytest.raises(CheckpointConflictError):
            store.commit_ingest(HUB, expected, checkpoint(1), windows, counts(1))
    store.commit_ingest(HUB, checkpoint(1), checkpoint(2), windows, counts(1))
    with pytest.raises(CheckpointConflictError, match="read it again"):
        store.commit_ingest(HUB, checkpoint(1), checkpoint(2), windows, counts(1))
    assert as_rows(store.read_windows(0, None, at(5))) == [(0, 5, 1.0, 2)]
    assert store.ingest_status()[0].counts == IngestCounts(8, 2, 2, 2, 2)


def test_an_expected_checkpoint_that_was_never_stored_is_a_conflict(store: SqlStore) -> None:
    with pytest.raises(CheckpointConflictError, match="got None"):
        store.commit_ingest(HUB, checkpoint(1), checkpoint(2), [], counts(0))
    assert store.ingest_status() == []


def test_the_checkpoint_may_go_back_for_a_hub_created_again(store: SqlStore) -> None:
    store.commit_ingest(HUB, None, checkpoint(900), [], counts(0))
    fresh = OffsetCheckpoint(3, at(60))
    store.commit_ingest(HUB, checkpoint(900), fresh, [], counts(0))
    assert store.offset_checkpoint(HUB) == fresh


def test_partitions_are_separate_and_ordered(store: SqlStore) -> None:
    others = [HUB._replace(partition_id="1"), HUB._replace(hub="a"), HUB._replace(consumer_group="x")]
    for number, partition in enumerate([HUB, *others]):
        store.commit_ingest(partition, None, checkpoint(number), [], counts(number))
    assert [status.partition for status in store.ingest_status()] == [others[1], HUB, others[0], others[2]]
    assert store.offset_checkpoint(others[0]) == checkpoint(1)


def test_counts_that_do_not_balance_are_refused(store: SqlStore) -> None:
    with pytest.raises(InvalidInputError, match="received = accepted"):
        store.commit_ingest(HUB, None, checkpoint(1), [], IngestCounts(3, 1, 0, 0, 0))
    assert store.offset_checkpoint(HUB) is None


def test_the_database_itself_holds_the_counters_balanced(store: SqlStore, database_url: str) -> None:
    store.commit_ingest(HUB, None, checkpoint(1), [], counts(1))
    engine = open_engine(database_url)
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.text("UPDATE IngestPartitions SET Accepted = Accepted + 1"))
    engine.dispose()


@pytest.mark.parametrize("field", ["total", "minimum", "maximum", "sum_of_squares"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_windows_that_are_not_finite_are_refused(store: SqlStore, field: str, value: float) -> None:
    sums = {"total": 1.0, "minimum": 1.0, "maximum": 1.0, "sum_of_squares": 1.0, field: value}
    wrong = Window(0, T0 + 5, 1, **sums)
    with pytest.raises(InvalidInputError, match="finite"):
        store.commit_ingest(HUB, None, checkpoint(1), [window(0, 10, 1.0), wrong], counts(2))
    assert store.offset_checkpoint(HUB) is None


def test_two_windows_of_one_key_are_refused(store: SqlStore) -> None:
    with pytest.raises(InvalidInputError, match="distinct"):
        store.commit_ingest(HUB, None, checkpoint(1), [window(0, 5, 1.0), window(0, 5, 2.0)], counts(2))
    assert store.offset_checkpoint(HUB) is None


def test_floats_come_back_with_every_bit(
    store: SqlStore, rows_of: Callable[[str], list[tuple[object, ...]]], database_url: str
) -> None:
    values = [0.1, 1 / 3, 1e-300, 1.7976931348623157e308, 2.2250738585072014e-308, 123456789.12345679, -1e22]
    if database_url.startswith("sqlite"):
        values += [-0.0, 5e-324, -2.5e-310]
    store.sensor_ids(keys(1))
    store.commit_ingest(
        HUB,
        None,
        checkpoint(1),
        [Window(0, T0 + i * 5, 1, v, v, v, v) for i, v in enumerate(values)],
        counts(len(values)),
    )
    found = rows_of("SELECT Total, Minimum, Maximum, SumOfSquares FROM SensorWindows ORDER BY TS")
    expected = [struct.pack("<4d", v, v, v, v) for v in values]
    assert [struct.pack("<4d", *row) for row in found] == expected


def test_large_commits_go_in_whole(store: SqlStore) -> None:
    store.sensor_ids(keys(30))
    windows = [window(sensor_id, end, float(end)) for end in range(5, 450, 5) for sensor_id in range(30)]
    store.commit_ingest(HUB, None, checkpoint(1), windows[::-1], counts(len(windows)))
    assert store.window_count() == len(windows) == 2670
    for shard in range(3):
        found = store.read_windows(shard, None, at(1000))
        wanted = sorted(w[:2] for w in windows if w.sensor_id // SHARD_SIZE == shard)
        assert list(zip(found.sensor_id.tolist(), found.end.tolist(), strict=True)) == wanted
    assert store.last_windows(range(30)) == dict.fromkeys(range(30), T0 + 445)


def test_consumers_racing_for_one_partition_apply_each_event_once(open_one: Callable[[], SqlStore]) -> None:
    stores = [open_one() for _ in range(3)]
    stores[0].sensor_ids(keys(2))

    def consume(one: SqlStore) -> int:
        won = 0
        while (stored := one.offset_checkpoint(HUB)) is None or stored.sequence_number < 15:
            following = 0 if stored is None else stored.sequence_number + 1
            try:
                one.commit_ingest(HUB, stored, checkpoint(following), [window(following % 2, 5, 1.0)], counts(1))
                won += 1
            except CheckpointConflictError:
                continue
        return won

    with ThreadPoolExecutor(3) as pool:
        wins = sum(pool.map(consume, stores))
    assert wins == 16
    assert as_rows(stores[0].read_windows(0, None, at(5))) == [(0, 5, 1.0, 8), (1, 5, 1.0, 8)]
    assert stores[0].ingest_status()[0].counts.accepted == 16


def test_partitions_racing_for_the_same_windows_lose_none(open_one: Callable[[], SqlStore]) -> None:
    stores = [open_one() for _ in range(3)]
    stores[0].sensor_ids(keys(20))

    def consume(number: int) -> None:
        partition = HUB._replace(partition_id=str(number))
        for i in range(8):
            windows = [window(sensor_id, i * 5, 1.0) for sensor_id in range(20)]
            stores[number].commit_ingest(
                partition, None if i == 0 else checkpoint(i - 1), checkpoint(i), windows, counts(20)
            )

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(consume, range(3)))
    for shard in range(2):
        assert set(stores[0].read_windows(shard, None, at(100)).count.tolist()) == {3}


# ---- reading windows -------------------------------------------------------------------------------------------------


def test_reading_excludes_the_start_and_includes_the_end(store: SqlStore) -> None:
    store.sensor_ids(keys(2))
    windows = [window(sensor_id, end, float(end)) for sensor_id in (1, 0) for end in (15, 5, 20, 10)]
    store.commit_ingest(HUB, None, checkpoint(1), windows, counts(8))
    found = store.read_windows(0, at(5), at(15))
    assert as_rows(found) == [(0, 10, 10.0, 1), (0, 15, 15.0, 1), (1, 10, 10.0, 1), (1, 15, 15.0, 1)]
    types = [str(column.dtype) for column in (found.sensor_id, found.end, found.value, found.count)]
    assert types == ["int64", "int64", "float64", "int64"]


def test_an_empty_range_has_no_rows(store: SqlStore) -> None:
    found = store.read_windows(3, None, at(0))
    assert [len(column) for column in (found.sensor_id, found.end, found.value, found.count)] == [0, 0, 0, 0]
    assert as_rows(store.read_rescore_windows(3, at(0))) == []
