"""A backtest runs the steps over a past range, says the same as they said live, and leaves no trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fakes.models import FakeCheckpoints, FakeRegistry
from fakes.tasks import FakePredictionFiles

from sensorwatch.app import Product
from sensorwatch.backtest.backtest import BacktestReport, backtest
from sensorwatch.backtest.live_comparison import LiveComparison, compare_with_live
from sensorwatch.cli.backtest import BoundSteps
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.scheduling.submit import plan_due
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings import load_settings
from sensorwatch.simulation.anomalies import InjectedAnomaly

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PARTITION = Partition("readings", "$Default", "0")
KEYS = [SensorKey("pump", "flow"), SensorKey("oven", "temperature"), SensorKey("mill", "current")]


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """Three sensors with windows from two hours before noon to an hour after; the third begins at noon."""
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/store.db", "TRAINING_SECONDS": "3600", "SHARD_SIZE": "2"}
    settings["DETECTOR"] = "ocsvm"
    product = Product(load_settings(settings), lambda: NOON + HOUR + timedelta(minutes=1))
    product.__dict__.update(
        models=FakeRegistry(), prediction_files=FakePredictionFiles(), checkpoints=FakeCheckpoints()
    )
    rng = np.random.default_rng(5)
    product.store.sensor_ids(KEYS)
    noon = int(NOON.timestamp())
    windows = [
        Window(sensor_id, noon + 5 * step, 1, value, value, value, value * value)
        for step in range(-1440, 721)
        for sensor_id, value in enumerate(rng.normal(20, 1, 3).tolist())
        if sensor_id < 2 or step > 0
    ]
    windows = [
        spiked(window) if window.sensor_id == 0 and 600 <= window.end - noon < 660 else window for window in windows
    ]
    counts = IngestCounts(len(windows), len(windows), 0, 0, 0)
    product.store.commit_ingest(PARTITION, None, OffsetCheckpoint(1, NOON), windows, counts)
    yield product
    product.store.dispose()


def spiked(window: Window) -> Window:
    return window._replace(total=90.0, minimum=90.0, maximum=90.0, sum_of_squares=8100.0)


def label(key: SensorKey, after_noon: int, seconds: int = 60) -> InjectedAnomaly:
    start = NOON + timedelta(seconds=after_noon)
    return InjectedAnomaly(key.device, key.tag, "spike", start, start + timedelta(seconds=seconds))


def run(product: Product, labels: list[InjectedAnomaly] | None = None, **options: object) -> BacktestReport:
    return backtest(
        NOON,
        NOON + HOUR,
        store=product.store,
        steps=BoundSteps(product, **options),  # type: ignore[arg-type]
        window_seconds=5,
        labels=labels,
    )


def run_live(product: Product, kind: str, end: datetime) -> None:
    """Plan and do a run as the timer and the pool would."""
    plan = plan_due(kind, store=product.store, clock=lambda: end, settle_seconds=0, run_window_seconds=60)  # type: ignore[arg-type]
    assert plan.run is not None
    product.store.begin_run(plan.run, end)
    for task in plan.run.tasks:
        product.train(task) if kind == "train" else product.score(task)
    product.store.end_run(plan.run.run_id, end)


def test_each_sensor_is_trained_before_the_range_and_scored_in_it(product: Product) -> None:
    report = run(product)
    pump, oven, mill = report.sensors
    assert (pump.device, pump.tag, pump.state, pump.windows) == ("pump", "flow", "ready", 720)
    assert pump.sensor_days == pytest.approx(1 / 24)
    assert pump.anomalies >= 12
    assert pump.alerts == 1
    assert pump.alerts_per_day == pytest.approx(24)
    assert (oven.state, oven.windows, oven.alerts) == ("ready", 720, 0)
    assert (mill.state, mill.windows, mill.anomalies_per_day) == ("no-data", 0, None)
    assert report.total.windows == 1440
    assert report.total.anomalies == sum(sensor.anomalies for sensor in report.sensors)
    assert (report.total.injected, report.total.precision, report.total.recall) == (None, None, None)


def test_labels_give_precision_and_recall_for_each_sensor_and_all(product: Product) -> None:
    elsewhere = label(KEYS[0], -7200)
    report = run(product, [label(KEYS[0], 595), label(KEYS[1], 1000), elsewhere])
    pump, oven, mill = report.sensors
    assert (pump.injected, pump.detected, pump.recall) == (1, 1, 1.0)
    assert pump.precision is not None
    assert pump.precision == pytest.approx(12 / pump.anomalies)
    assert (oven.injected, oven.recall) == (1, 0.0)
    assert (mill.injected, mill.recall, mill.precision) == (0, None, None)
    assert (report.total.injected, report.total.detected, report.total.recall) == (2, 1, 0.5)


def test_detector_and_training_length_may_be_others(product: Product) -> None:
    assert [sensor.reason for sensor in run(product, training_seconds=60).sensors[:2]] == ["12 of 100 windows"] * 2
    assert run(product, detector="ocsvm_sklearn").total.windows == 1440
    with pytest.raises(InvalidInputError, match="`nonsense`"):
        run(product, detector="nonsense")


def test_an_invalid_range_is_refused(product: Product) -> None:
    with pytest.raises(InvalidInputError, match="whose start is before its end"):
        backtest(NOON, NOON, store=product.store, steps=BoundSteps(product), window_seconds=5)


def test_a_backtest_writes_nothing(product: Product, tmp_path: Path) -> None:
    before = "\n".join(sqlite3.connect(tmp_path / "store.db").iterdump())
    run(product, [])
    assert "\n".join(sqlite3.connect(tmp_path / "store.db").iterdump()) == before
    assert product.models.versions() == []


# ---- against what was said live --------------------------------------------------------------------------------------


def compare(product: Product) -> LiveComparison:
    return compare_with_live(
        NOON,
        NOON + HOUR,
        store=product.store,
        runs=product.store,
        registry=product.models,
        predictions=product.prediction_files,
        steps=BoundSteps(product),
    )


def test_scores_equal_those_given_live_across_runs_and_trainings(product: Product) -> None:
    run_live(product, "train", NOON)
    for minutes in (7, 20, 30):
        run_live(product, "score", NOON + timedelta(minutes=minutes))
    run_live(product, "train", NOON + timedelta(minutes=31))
    run_live(product, "score", NOON + HOUR)
    found = compare(product)
    assert found.compared == 1440 + sum(step > 372 for step in range(1, 721))
    assert found.largest_difference <= 1e-9
    assert (found.labels_differ, found.missing, found.equal) == (0, 0, True)


def test_the_same_training_gives_the_scores_given_live(product: Product) -> None:
    """A backtest's own models, trained on what the live ones were trained on, score alike."""
    run_live(product, "train", NOON)
    run_live(product, "score", NOON + HOUR)
    (run_id,) = {summary.run_id for summary in product.store.runs("score")}
    tables = [product.prediction_files.read(name) for name in product.prediction_files.names(run_id)]
    live_anomalies = sum(table["prediction"].to_pylist().count(-1) for table in tables)
    assert run(product).total.anomalies == live_anomalies
    assert compare(product).equal


def test_windows_that_score_differently_are_counted(product: Product) -> None:
    run_live(product, "train", NOON)
    run_live(product, "score", NOON + timedelta(minutes=30))
    late = Window(1, int(NOON.timestamp()) + 600, 1, 500.0, 500.0, 500.0, 250_000.0)
    mark = product.store.offset_checkpoint(PARTITION)
    product.store.commit_ingest(PARTITION, mark, OffsetCheckpoint(2, NOON), [late], IngestCounts(1, 1, 0, 0, 0))
    found = compare(product)
    assert (found.labels_differ, found.equal) == (1, False)
    run_live(product, "score", NOON + timedelta(minutes=31))
    assert compare(product).equal
    registry = product.models
    assert isinstance(registry, FakeRegistry)
    registry.files.clear()
    found = compare(product)
    assert (found.compared, found.missing > 0, found.equal) == (0, True, False)
