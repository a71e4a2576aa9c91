"""Faults that stay where they are: late windows, damaged models, bad sensors; the real steps over a real store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fakes.models import FakeCheckpoints, FakeRegistry
from fakes.tasks import FakePredictionFiles

from sensorwatch.alerts.publish import publish
from sensorwatch.app import Product
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.models.scoring.score import ScoreSummary
from sensorwatch.models.training.train import TrainSummary
from sensorwatch.scheduling.submit import plan_due
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings import load_settings
from sensorwatch.tasks.records import Kind

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PARTITION = Partition("readings", "$Default", "0")
NAN = float("nan")


class Plant:
    """A store with the steps; models and predictions are in memory."""

    def __init__(self, folder: Path) -> None:
        settings = {"DATABASE_URL": f"sqlite:///{folder}/store.db", "TRAINING_SECONDS": "3600"}
        self.product = Product(load_settings(settings), lambda: NOON)
        self.models, self.files = FakeRegistry(), FakePredictionFiles()
        self.product.__dict__.update(models=self.models, prediction_files=self.files, checkpoints=FakeCheckpoints())
        self.store = self.product.store
        self._batches = 0

    def ingest(self, series: Mapping[int, Sequence[float]], last: datetime) -> None:
        """Give sensors windows, the last of which ends at ``last``."""
        self.store.sensor_ids([SensorKey(f"device-{i}", "flow") for i in range(max(series) + 1)])
        end = int(last.timestamp())
        windows = [
            Window(sensor_id, end - 5 * back, 1, value, value, value, 0.0)
            for sensor_id, values in series.items()
            for back, value in enumerate(reversed(values))
        ]
        windows.sort(key=lambda window: (window.end, window.sensor_id))
        self._batches += 1
        self.store.commit_ingest(
            PARTITION,
            self.store.offset_checkpoint(PARTITION),
            OffsetCheckpoint(self._batches, NOON),
            windows,
            IngestCounts(len(windows), len(windows), 0, 0, 0),
        )

    def run(self, kind: Kind, end: datetime) -> TrainSummary | ScoreSummary | None:
        """Plan a run, do its task and publish its file, as timer, pool and trigger would."""
        plan = plan_due(kind, store=self.store, clock=lambda: end, settle_seconds=0, run_window_seconds=5)
        if plan.run is None:
            return None
        self.store.begin_run(plan.run, end)
        (task,) = plan.run.tasks
        summary = self.product.train(task) if kind == "train" else self.product.score(task)
        for name in self.files.names(task.run_id):
            publish(name, self.files.read(name), store=self.store, policy=self.product.alert_policy)
        self.store.end_run(task.run_id, end)
        return summary

    def rows(self, end: datetime) -> list[tuple[int, float, int, bool]]:
        """Return sensor, value, label and whether scored again, of the file of the scoring run at ``end``."""
        (name,) = self.files.names(f"score-{end:%Y%m%dT%H%M%SZ}")
        table = self.files.read(name)
        columns = (table[column].to_pylist() for column in ("sensor_id", "value", "prediction", "rescored"))
        return list(zip(*columns, strict=True))

    def states(self) -> dict[int, tuple[str, str]]:
        return {sensor.sensor_id: (sensor.state, sensor.reason) for sensor in self.store.sensors()}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.store.dispose()


def noise(n: int, seed: int = 1) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(20, 1, n).tolist()
    return values


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_a_late_reading_has_its_window_scored_again_and_once(plant: Plant) -> None:
    plant.ingest({0: noise(720)}, NOON)
    plant.run("train", NOON)
    plant.ingest({0: [20.0] * 12}, after(1))
    plant.run("score", after(1))
    assert plant.run("score", after(2)) is None
    plant.ingest({0: [980.0]}, after(0.5))
    plant.run("score", after(2))
    assert plant.rows(after(2)) == [(0, 500.0, -1, True)]
    assert [anomaly.value for anomaly in plant.store.anomalies()] == [500.0]
    assert plant.run("score", after(3)) is None


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_bad_sensor_fails_alone(plant: Plant) -> None:
    plant.ingest(
        {0: noise(720), 1: [5.0] * 720, 2: [1e308, -1e308] * 360, 3: [1.0, 2.0], 4: [1.0], 6: noise(720, seed=2)}, NOON
    )
    plant.run("train", NOON)
    states = plant.states()
    assert [states[i][0] for i in range(7)] == ["ready", "ready", "failed", "warming", "warming", "no-data", "ready"]
    assert [states[i][1].split(" within")[0] for i in (3, 4)] == ["2 of 100 windows", "1 of 100 windows"]
    assert "double precision" in states[2][1]
    plant.ingest({i: [20.0] for i in (0, 1, 2, 3, 4, 6)}, after(1))
    plant.run("score", after(1))
    assert plant.rows(after(1)) == [(0, 20.0, 1, False), (1, 20.0, -1, False), (6, 20.0, 1, False)]


def test_nothing_alerts_while_a_sensor_is_warming(plant: Plant) -> None:
    """Its values run away, and its neighbour is scored all along."""
    wild = [float(i) ** 2 * (-1) ** i for i in range(90)]
    plant.ingest({0: noise(720)}, NOON)
    plant.run("train", NOON)
    for minute in (2, 4, 6):
        plant.ingest({0: noise(24, seed=minute), 1: wild[12 * (minute - 2) : 12 * minute]}, after(minute))
        plant.run("score", after(minute))
        plant.run("train", after(minute))
        state, reason = plant.states()[1]
        assert state == "warming"
        assert reason.startswith(f"{12 * minute} of 100 windows within 60 days;")
    anomalies = [anomaly for anomaly in plant.store.anomalies() if anomaly.sensor_id == 1]
    assert len(anomalies) > 30
    assert {anomaly.suppressed for anomaly in anomalies} == {"warming"}
    assert 1 not in {alert.sensor_id for alert in plant.store.alerts()}


def test_windows_that_scoring_passed_before_the_first_model_are_scored_once_it_is_there(plant: Plant) -> None:
    plant.ingest({0: noise(720)}, NOON)
    plant.run("train", NOON)
    plant.ingest({0: noise(120, seed=3), 1: [*noise(108, seed=4), *[99.0] * 12]}, after(10))
    plant.run("score", after(10))
    plant.run("train", after(9))
    assert plant.states()[1] == ("ready", "")
    plant.run("score", after(11))
    found = plant.rows(after(11))
    assert found == [(1, 99.0, -1, True)] * 12
    assert plant.run("score", after(12)) is None


def test_damaged_models_are_replaced_by_the_previous_ones_and_reported(plant: Plant) -> None:
    plant.ingest({0: noise(720)}, NOON)
    plant.run("train", NOON)
    first = plant.models.pointers[0]
    plant.ingest({0: noise(120, seed=5)}, after(10))
    plant.run("train", after(10))
    plant.models.damage(plant.models.pointers[0])
    plant.ingest({0: [500.0]}, after(11))
    summary = plant.run("score", after(11))
    assert isinstance(summary, ScoreSummary)
    assert summary.version == first.version
    assert "used an older version" in str(summary)
    assert plant.rows(after(11))[-1] == (0, 500.0, -1, False)
    trained = plant.run("train", after(11))
    assert isinstance(trained, TrainSummary)
    assert "used an older version" in str(trained)
    again = plant.product.models.load(plant.models.pointers[0])
    assert again.num_rows == 1


def test_a_task_that_runs_again_after_its_marks_are_gone_keeps_its_file(plant: Plant) -> None:
    """A node may die between the end of a task's work and the report of it."""
    plant.ingest({0: noise(720)}, NOON)
    plant.run("train", NOON)
    plant.ingest({0: [20.0] * 12}, after(1))
    plant.run("score", after(1))
    plant.ingest({0: [980.0]}, after(0.5))
    plant.run("score", after(2))
    before = plant.rows(after(2))
    (run_id,) = (run.run_id for run in plant.store.runs("score", limit=1))
    (task,) = (each.spec for each in plant.store.tasks(run_id))
    assert str(plant.product.score(task)) == "shard 0: an earlier try has scored all windows"
    assert plant.rows(after(2)) == before == [(0, 500.0, -1, True)]
