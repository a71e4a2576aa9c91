"""A backtest runs the steps over a past range, says the same as they said live, and leaves no trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fakes_models import FakeMemories, FakePredictionFiles, FakeRegistry

from sensorwatch.cli.backtest import BoundSteps
from sensorwatch.errors import InvalidInputError
from sensorwatch.records import IngestCounts, IngestMark, Partition, SensorKey, Window
from sensorwatch.settings import load_settings
from sensorwatch.simulation.anomalies import InjectedAnomaly
from sensorwatch.steps.backtest import BacktestReport, LiveComparison, backtest, compare_with_live
from sensorwatch.steps.submit import plan_due
from sensorwatch.wiring import Wiring

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PARTITION = Partition("readings", "$Default", "0")
KEYS = [SensorKey("pump", "flow"), SensorKey("oven", "temperature"), SensorKey("mill", "current")]


@pytest.fixture
def wiring(tmp_path: Path) -> Iterator[Wiring]:
    """Three sensors with windows from two hours before noon to an hour after; the third begins at noon."""
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/store.db", "TRAINING_SECONDS": "3600", "SHARD_SIZE": "2"}
    settings["DETECTOR"] = "ocsvm"
    wired = Wiring(load_settings(settings), lambda: NOON + HOUR + timedelta(minutes=1))
    wired.__dict__.update(models=FakeRegistry(), prediction_files=FakePredictionFiles(), memories=FakeMemories())
    rng = np.random.default_rng(5)
    wired.store.sensor_ids(KEYS)
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
    wired.store.commit_ingest(PARTITION, None, IngestMark(1, NOON), windows, counts)
    yield wired
    wired.store.dispose()


def spiked(window: Window) -> Window:
    return window._replace(total=90.0, minimum=90.0, maximum=90.0, sum_of_squares=8100.0)


def label(key: SensorKey, after_noon: int, seconds: int = 60) -> InjectedAnomaly:
    start = NOON + timedelta(seconds=after_noon)
    return InjectedAnomaly(key.device, key.tag, "spike", start, start + timedelta(seconds=seconds))


def run(wiring: Wiring, labels: list[InjectedAnomaly] | None = None, **options: object) -> BacktestReport:
    return backtest(
        NOON,
        NOON + HOUR,
        store=wiring.store,
        steps=BoundSteps(wiring, **options),  # type: ignore[arg-type]
        window_seconds=5,
        labels=labels,
    )


def run_live(wiring: Wiring, kind: str, end: datetime) -> None:
    """Plan and do a run as the timer and the pool would."""
    plan = plan_due(kind, store=wiring.store, clock=lambda: end, settle_seconds=0, run_window_seconds=60)  # type: ignore[arg-type]
    assert plan.run is not None
    wiring.store.begin_run(plan.run, end)
    for task in plan.run.tasks:
        wiring.train(task) if kind == "train" else wiring.score(task)
    wiring.store.end_run(plan.run.run_id, end)


def test_each_sensor_is_trained_before_the_range_and_scored_in_it(wiring: Wiring) -> None:
    report = run(wiring)
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


def test_labels_give_precision_and_recall_for_each_sensor_and_all(wiring: Wiring) -> None:
    elsewhere = label(KEYS[0], -7200)
    report = run(wiring, [label(KEYS[0], 595), label(KEYS[1], 1000), elsewhere])
    pump, oven, mill = report.sensors
    assert (pump.injected, pump.detected, pump.recall) == (1, 1, 1.0)
    assert pump.precision is not None
    assert pump.precision == pytest.approx(12 / pump.anomalies)
    assert (oven.injected, oven.recall) == (1, 0.0)
    assert (mill.injected, mill.recall, mill.precision) == (0, None, None)
    assert (report.total.injected, report.total.detected, report.total.recall) == (2, 1, 0.5)


def test_detector_and_training_length_may_be_others(wiring: Wiring) -> None:
    assert [sensor.reason for sensor in run(wiring, training_seconds=60).sensors[:2]] == ["12 of 100 windows"] * 2
    assert run(wiring, detector="ocsvm_sklearn").total.windows == 1440
    with pytest.raises(InvalidInputError, match="`nonsense`"):
        run(wiring, detector="nonsense")


def test_a_range_that_is_none_is_refused(wiring: Wiring) -> None:
    with pytest.raises(InvalidInputError, match="begins before it ends"):
        backtest(NOON, NOON, store=wiring.store, steps=BoundSteps(wiring), window_seconds=5)


def test_a_backtest_writes_nothing(wiring: Wiring, tmp_path: Path) -> None:
    before = "\n".join(sqlite3.connect(tmp_path / "store.db").iterdump())
    run(wiring, [])
    assert "\n".join(sqlite3.connect(tmp_path / "store.db").iterdump()) == before
    assert wiring.models.versions() == []


# ---- against what was said live --------------------------------------------------------------------------------------


def compare(wiring: Wiring) -> LiveComparison:
    return compare_with_live(
        NOON,
        NOON + HOUR,
        store=wiring.store,
        runs=wiring.store,
        registry=wiring.models,
        predictions=wiring.prediction_files,
        steps=BoundSteps(wiring),
    )


def test_scores_equal_those_given_live_across_runs_and_trainings(wiring: Wiring) -> None:
    run_live(wiring, "train", NOON)
    for minutes in (7, 20, 30):
        run_live(wiring, "score", NOON + timedelta(minutes=minutes))
    run_live(wiring, "train", NOON + timedelta(minutes=31))
    run_live(wiring, "score", NOON + HOUR)
    found = compare(wiring)
    assert found.compared == 1440 + sum(step > 372 for step in range(1, 721))
    assert found.largest_difference <= 1e-9
    assert (found.labels_differ, found.missing, found.equal) == (0, 0, True)


def test_the_same_training_gives_the_scores_given_live(wiring: Wiring) -> None:
    """A backtest's own models, trained on what the live ones were trained on, score alike."""
    run_live(wiring, "train", NOON)
    run_live(wiring, "score", NOON + HOUR)
    (run_id,) = {summary.run_id for summary in wiring.store.runs("score")}
    tables = [wiring.prediction_files.read(name) for name in wiring.prediction_files.names(run_id)]
    live_anomalies = sum(table["prediction"].to_pylist().count(-1) for table in tables)
    assert run(wiring).total.anomalies == live_anomalies
    assert compare(wiring).equal


def test_what_no_longer_scores_alike_is_counted(wiring: Wiring) -> None:
    run_live(wiring, "train", NOON)
    run_live(wiring, "score", NOON + timedelta(minutes=30))
    late = Window(1, int(NOON.timestamp()) + 600, 1, 500.0, 500.0, 500.0, 250_000.0)
    mark = wiring.store.ingest_mark(PARTITION)
    wiring.store.commit_ingest(PARTITION, mark, IngestMark(2, NOON), [late], IngestCounts(1, 1, 0, 0, 0))
    found = compare(wiring)
    assert (found.labels_differ, found.equal) == (1, False)
    run_live(wiring, "score", NOON + timedelta(minutes=31))
    assert compare(wiring).equal
    registry = wiring.models
    assert isinstance(registry, FakeRegistry)
    registry.files.clear()
    found = compare(wiring)
    assert (found.compared, found.missing > 0, found.equal) == (0, True, False)
