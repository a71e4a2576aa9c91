"""Sensors that report rarely are trained on older windows than the training range has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from fakes.models import NOON, FakeRegistry, FakeStore, task

from sensorwatch.app import Product
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.older_windows import OlderWindows
from sensorwatch.models.training.train import TrainSummary, train
from sensorwatch.sensors.downtime import Downtime, DowntimePlan
from sensorwatch.sensors.records import SensorKey, SensorStatus
from sensorwatch.settings import load_settings

HOUR, DAY = 3600, 86_400
OLDER = OlderWindows(number=200, days=60, window_seconds=5)


def noise(n: int, seed: int = 1) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(20.0, 1.0, n).tolist()
    return values


def run(store: FakeStore, end: datetime = NOON, **options: object) -> TrainSummary:
    registry = FakeRegistry()
    arguments: dict[str, object] = {"detector_name": "ocsvm", "training_seconds": DAY, "older": OLDER}
    summary = train(
        task("train", end),
        store=store,
        registry=registry,
        needed=TrainingWindows(100),
        now=end,
        **(arguments | options),  # type: ignore[arg-type]
    )
    store.rows = {row["sensor_id"]: row for row in registry.load(registry.pointers[0]).to_pylist()}  # type: ignore[attr-defined]
    return summary


def rows(store: FakeStore) -> dict[int, dict[str, object]]:
    found: dict[int, dict[str, object]] = store.rows  # type: ignore[attr-defined]
    return found


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def test_a_sensor_with_enough_windows_in_the_range_causes_no_other_read(store: FakeStore) -> None:
    store.add(1, noise(900), interval=300)
    run(store, older=replace(OLDER, number=288))
    assert rows(store)[1]["windows"] == 288
    assert rows(store)[1]["training_start"] == NOON.timestamp() - DAY
    assert (len(store.reads), store.look_ups) == (1, [])


def test_a_new_database_causes_no_other_read(store: FakeStore) -> None:
    store.add(1, noise(20), interval=HOUR)
    run(store)
    assert store.statuses[1].reason == (
        "20 of 100 windows within 60 days; more history, or a lower MINIMUM_TRAINING_WINDOWS, makes it ready"
    )
    assert (len(store.reads), store.look_ups) == (1, [])


def test_a_shard_of_slow_sensors_is_read_back_until_all_have_enough(store: FakeStore) -> None:
    for sensor_id in range(1, 5):
        store.add(sensor_id, noise(1400, sensor_id), interval=HOUR)
    run(store)
    assert [row["windows"] for row in rows(store).values()] == [200] * 4
    assert rows(store)[1]["training_start"] == NOON.timestamp() - 199 * HOUR - 5
    assert store.look_ups == []
    assert min(start for start, _ in store.reads if start) == NOON - timedelta(days=9)


def test_a_few_slow_sensors_among_fast_ones_are_looked_up(store: FakeStore) -> None:
    store.add(1, noise(240), interval=HOUR)
    for sensor_id in range(2, 12):
        store.add(sensor_id, noise(1000, sensor_id))
    run(store, training_seconds=HOUR)
    assert [rows(store)[i]["windows"] for i in (1, 2)] == [200, 720]
    assert len(store.reads) == 1
    assert {sensor_id for sensor_id, _ in store.look_ups} == {1}
    spans = [wanted for _, wanted in store.look_ups]
    assert spans[0].end == NOON.timestamp() - HOUR
    assert all(newer.start == older.end for newer, older in pairwise(spans))
    assert spans[-1].start >= NOON.timestamp() - 240 * HOUR - 1


def test_a_sensor_is_trained_on_the_same_windows_whatever_is_read_with_it() -> None:
    alone, fast, slow = FakeStore(), FakeStore(), FakeStore()
    for some in (alone, fast, slow):
        some.add(1, noise(700), interval=2 * HOUR)
    later = NOON + timedelta(minutes=50)
    for sensor_id in range(2, 12):
        fast.add(sensor_id, noise(1000, sensor_id), end=later)
        slow.add(sensor_id, noise(30, sensor_id), end=later, interval=DAY)
    for some in (alone, fast, slow):
        run(some, later, training_seconds=2 * HOUR)
        rows(some)[1].pop("version")
    assert fast.look_ups
    assert not slow.look_ups
    assert rows(alone)[1] == rows(fast)[1] == rows(slow)[1]
    assert rows(alone)[1]["windows"] == 200


def test_windows_beyond_the_age_limit_are_left_out(store: FakeStore) -> None:
    store.add(1, noise(400), interval=HOUR)
    store.add(2, noise(400), interval=DAY)
    run(store, older=OlderWindows(4000, 5, 5))
    assert rows(store)[1]["windows"] == 5 * 24
    assert (rows(store)[2]["windows"], store.statuses[2].state) == (5, "warming")
    assert store.statuses[2].reason == (
        "5 of 100 windows within 5 days; TRAINING_DAYS=100, or a lower MINIMUM_TRAINING_WINDOWS, makes it ready"
    )
    run(store, older=OlderWindows(4000, 100, 5))
    assert (rows(store)[2]["windows"], store.statuses[2].state) == (100, "ready")


def test_the_training_range_is_not_cut_by_the_age_limit(store: FakeStore) -> None:
    store.add(1, noise(400), interval=HOUR)
    run(store, training_seconds=10 * DAY, older=OlderWindows(4000, 5, 5))
    assert rows(store)[1]["windows"] == 240


def test_a_sensor_with_a_young_trend_waits_for_windows_after_it(store: FakeStore) -> None:
    store.add(1, noise(1000), interval=HOUR)
    store.statuses[1] = replace(store.statuses[1], train_from=NOON - timedelta(hours=50))
    run(store)
    assert (store.statuses[1].state, rows(store)[1]["windows"]) == ("warming", 50)
    assert store.statuses[1].reason == (
        "50 of 100 windows since the sensor's new trend began at 2026-11-18 10:00 UTC; more history, or a lower "
        "MINIMUM_TRAINING_WINDOWS, makes it ready"
    )


def test_windows_in_downtime_are_replaced_by_older_ones(store: FakeStore) -> None:
    store.add(1, noise(1000), interval=HOUR)
    down = Downtime.model_validate({"from": NOON - timedelta(days=3), "to": NOON, "device": "device-1"})
    run(store, downtime=DowntimePlan((down,), 5))
    row = rows(store)[1]
    assert (row["state"], row["windows"]) == ("ready", 200)
    assert row["training_end"] == (NOON - timedelta(days=3)).timestamp()


def test_windows_without_a_number_do_not_fill_the_count(store: FakeStore) -> None:
    store.add(1, [*noise(500), *([float("nan")] * 150)], interval=HOUR)
    run(store)
    assert rows(store)[1]["windows"] == 200


def test_windows_before_the_tasks_start_are_not_read(store: FakeStore) -> None:
    store.add(1, noise(500), interval=HOUR)
    registry = FakeRegistry()
    start = NOON - timedelta(hours=30)
    train(
        task("train", NOON, start),
        store=store,
        registry=registry,
        detector_name="ocsvm",
        training_seconds=DAY,
        needed=TrainingWindows(100),
        now=NOON,
        older=OLDER,
    )
    assert registry.load(registry.pointers[0])["windows"].to_pylist() == [30]


@pytest.fixture
def product(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Product]:
    """Product on SQLite; the parameter has settings besides the database."""
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/store.db", **getattr(request, "param", {})}
    product = Product(load_settings(settings), lambda: NOON)
    product.__dict__.update(models=FakeRegistry())
    yield product
    product.store.dispose()


def ingest(product: Product, intervals: dict[int, int], days: dict[int, float]) -> None:
    """Store windows of each sensor at its interval (seconds), for its number of days up to noon."""
    noon = int(NOON.timestamp())
    product.store.sensor_ids([SensorKey(f"device-{sensor_id}", "temperature") for sensor_id in sorted(intervals)])
    rng = np.random.default_rng(3)
    windows = [
        Window(sensor_id, noon - back * interval, 1, value, value, value, value * value)
        for sensor_id, interval in intervals.items()
        for back, value in enumerate(rng.normal(20.0, 1.0, int(days[sensor_id] * DAY / interval)).tolist())
    ]
    counts = IngestCounts(len(windows), len(windows), 0, 0, 0)
    windows.sort(key=lambda window: (window.end, window.sensor_id))
    product.store.commit_ingest(
        Partition("readings", "$Default", "0"), None, OffsetCheckpoint(1, NOON), windows, counts
    )


def statuses(product: Product) -> dict[int, SensorStatus]:
    return {sensor.sensor_id: sensor for sensor in product.store.sensors()}


def test_sensors_of_15_minutes_and_an_hour_become_ready_with_the_default_settings(product: Product) -> None:
    ingest(product, {0: 900, 1: HOUR}, {0: 14, 1: 30})
    product.train(task("train", NOON))
    assert {sensor.state for sensor in statuses(product).values()} == {"ready"}
    table = product.models.load(product.models.current(0))  # type: ignore[arg-type]
    assert table["windows"].to_pylist() == [14 * 96, 30 * 24]
    assert table["training_start"].to_pylist() == [
        int(NOON.timestamp()) - 14 * DAY + 900 - 5,
        int(NOON.timestamp()) - 30 * DAY + HOUR - 5,
    ]


@pytest.mark.parametrize("product", [{"TRAINING_SECONDS": "3600", "TRAINING_WINDOWS": "700"}], indirect=True)
def test_a_slow_sensor_among_fast_ones_does_not_make_sqlite_read_the_shard(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = range(1, 15)
    ingest(product, {0: HOUR, **dict.fromkeys(fast, 5)}, {0: 30, **dict.fromkeys(fast, 0.1)})
    read = Mock(wraps=product.store.read_windows)
    monkeypatch.setattr(product.store, "read_windows", read)
    product.train(task("train", NOON), detector="ocsvm")
    assert read.call_count == 1
    table = product.models.load(product.models.current(0))  # type: ignore[arg-type]
    assert table["windows"].to_pylist() == [700, *([720] * len(fast))]


def test_an_explicit_training_length_is_used_alone(product: Product) -> None:
    ingest(product, {0: HOUR}, {0: 30})
    product.train(task("train", NOON), training_seconds=2 * DAY)
    assert statuses(product)[0].reason == "48 of 100 windows"
