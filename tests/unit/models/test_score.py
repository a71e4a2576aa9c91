from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes.models import NOON, FakeRegistry, FakeStore, task
from fakes.tasks import FakePredictionFiles

from sensorwatch.config.detectors import EstimatorPolicy
from sensorwatch.config.file import parse_configuration
from sensorwatch.errors import CorruptModelError
from sensorwatch.models.scoring.score import ScoreSummary, score
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train

if TYPE_CHECKING:
    from datetime import datetime

LATER = NOON + timedelta(minutes=1)
FILE = "run=score-20261120T120100Z/shard=000000.parquet"


class Scene:
    """A store, a registry and prediction files, with the steps bound to them."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.registry = FakeRegistry()
        self.files = FakePredictionFiles()

    def train(self, end: datetime = NOON, detector: str = "ocsvm") -> None:
        train(
            task("train", end),
            store=self.store,
            registry=self.registry,
            detector_name=detector,
            training_seconds=3600,
            needed=TrainingWindows(100),
            now=end,
        )

    def score(self, end: datetime = LATER, start: datetime | None = None) -> ScoreSummary:
        return score(task("score", end, start), store=self.store, registry=self.registry, predictions=self.files)

    def rows(self, name: str = FILE) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = self.files.read(name).to_pylist()
        return rows


@pytest.fixture
def scene() -> Scene:
    return Scene()


def noise(n: int, level: float = 20.0, seed: int = 1) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(level, 1.0, n).tolist()
    return values


def test_new_windows_are_scored_against_their_own_sensors_model(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.store.add(2, noise(300, level=500))
    scene.train()
    scene.store.add(1, [20.0, 500.0], end=LATER)
    scene.store.add(2, [500.0, 20.0], end=LATER)
    summary = scene.score(start=NOON)
    rows = scene.rows()
    assert [(row["sensor_id"], row["value"], row["prediction"]) for row in rows] == [
        (1, 20.0, 1),
        (1, 500.0, -1),
        (2, 500.0, 1),
        (2, 20.0, -1),
    ]
    assert rows[1]["severity"] == "critical"
    assert (rows[0]["device"], rows[0]["tag"], rows[0]["ts"]) == ("device-1", "temperature", LATER.timestamp() - 5)
    assert rows[0]["model_version"] == scene.registry.pointers[0].version
    assert rows[0]["expected_low"] == pytest.approx(min(noise(300)))
    assert (summary.windows, summary.predictions, summary.rescored, summary.anomalies) == (4, 4, 0, 2)
    assert summary.file == FILE


def test_windows_of_sensors_without_a_model_are_not_reported_as_scored(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    scene.store.add(1, [20.0], end=LATER)
    scene.store.add(9, [1.0], end=LATER)
    scene.score(start=NOON)
    ((done, windows),) = scene.store.completed
    assert done.end == LATER
    assert windows.sensor_id.tolist() == [1]


def test_without_a_start_scoring_begins_where_the_first_training_ended(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.store.add(2, noise(300), end=NOON - timedelta(minutes=2))
    scene.train()
    scene.store.add(1, [20.0], end=LATER)
    scene.store.add(2, [21.0], end=LATER)
    scene.score()
    assert scene.store.reads[-1] == (NOON - timedelta(minutes=2), LATER)
    assert [row["sensor_id"] for row in scene.rows()] == [1, 2]


def test_windows_up_to_the_first_training_are_never_scored(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    scene.store.change(1, NOON - timedelta(seconds=10), 999.0)
    summary = scene.score(start=NOON - timedelta(hours=1))
    assert summary.file is None
    assert summary.predictions == 0
    assert scene.store.marks == set()


def test_a_changed_window_is_scored_again_and_says_so(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    scene.store.add(1, [20.0, 20.0], end=LATER)
    scene.score(start=NOON)
    later = LATER + timedelta(minutes=1)
    scene.store.change(1, LATER, 999.0)
    scene.store.add(1, [20.5], end=later)
    summary = scene.score(end=later, start=LATER)
    rows = scene.rows("run=score-20261120T120200Z/shard=000000.parquet")
    assert [(row["value"], row["rescored"], row["prediction"]) for row in rows] == [(999.0, True, -1), (20.5, False, 1)]
    assert summary.rescored == 1
    assert scene.store.marks == set()


def test_a_window_both_new_and_marked_is_scored_once(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    scene.store.add(1, [20.0, 20.0], end=LATER)
    scene.store.change(1, LATER, 21.0)
    summary = scene.score(start=NOON)
    assert [(row["value"], row["rescored"]) for row in scene.rows()] == [(20.0, False), (21.0, True)]
    assert (summary.windows, summary.predictions) == (2, 2)


def test_a_sensor_without_a_model_is_left_out(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.store.add(2, noise(20))
    scene.train()
    scene.store.add(1, [20.0], end=LATER)
    scene.store.add(2, [999.0], end=LATER)
    summary = scene.score(start=NOON)
    assert [row["sensor_id"] for row in scene.rows()] == [1]
    assert (summary.windows, summary.predictions) == (2, 1)


def test_without_models_nothing_is_scored_but_the_task_completes(scene: Scene) -> None:
    scene.store.add(1, noise(20))
    summary = scene.score()
    assert summary.version is None
    assert summary.file is None
    assert [done.end for done, _ in scene.store.completed] == [LATER]
    scene.train()
    assert scene.score().version is None


def test_without_new_windows_no_file_is_written(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    assert scene.score(start=NOON).file is None
    assert scene.files.files == {}


def test_the_same_task_again_replaces_its_file_with_the_same(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    scene.store.add(1, [20.0, 500.0], end=LATER)
    scene.score(start=NOON)
    first = dict(scene.files.files)
    scene.score(start=NOON)
    assert scene.files.files == first


def test_a_window_without_a_number_is_left_out(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    scene.store.add(1, [float("nan"), 20.0], end=LATER)
    assert scene.score(start=NOON).predictions == 1


def test_damaged_models_fall_back_to_the_version_before_and_say_so(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    before = scene.registry.pointers[0].version
    scene.store.add(1, noise(300, seed=4), end=LATER)
    scene.train(LATER)
    scene.registry.damage(scene.registry.pointers[0])
    end = LATER + timedelta(minutes=1)
    scene.store.add(1, [20.0], end=end)
    summary = scene.score(end=end, start=LATER)
    assert summary.version == before
    assert "SHA-256" in summary.problem
    assert "used an older version" in str(summary)
    assert summary.predictions == 1


def test_damaged_models_without_a_version_before_fail_the_task(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train()
    scene.registry.damage(scene.registry.pointers[0])
    with pytest.raises(CorruptModelError):
        scene.score(start=NOON)
    assert scene.store.completed == []


def test_sensors_trained_by_different_detectors_are_scored_by_their_own(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train(detector="ocsvm_sklearn")
    scene.store.add(2, noise(300), end=LATER)
    scene.train(LATER)
    models = scene.registry.load(scene.registry.pointers[0])
    assert models["detector"].to_pylist() == ["ocsvm_sklearn", "ocsvm"]
    end = LATER + timedelta(minutes=1)
    for sensor_id in (1, 2):
        scene.store.add(sensor_id, [20.0, 99.0], end=end)
    scene.score(end=end, start=LATER)
    rows = scene.rows("run=score-20261120T120200Z/shard=000000.parquet")
    assert [row["prediction"] for row in rows] == [1, -1, 1, -1]


def test_a_stored_estimator_that_may_not_be_loaded_leaves_its_sensor_out(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train(detector="sklearn")
    scene.store.add(1, [20.0, 500.0], end=LATER)
    scene.score(start=NOON)
    assert [row["prediction"] for row in scene.rows()] == [1, -1]
    forest = parse_configuration("detectors: [{device: device-2, estimator: sklearn.ensemble.IsolationForest}]", "test")
    later = LATER + timedelta(minutes=20)
    scene.store.add(2, noise(300), end=later)
    train(
        task("train", later),
        store=scene.store,
        registry=scene.registry,
        detector_name="ocsvm",
        training_seconds=3600,
        needed=TrainingWindows(100),
        now=later,
        configuration=forest,
    )
    scene.store.add(2, [20.0], end=later + timedelta(seconds=5))
    scene.store.add(1, [20.0], end=later + timedelta(seconds=5))
    summary = score(
        task("score", later + timedelta(seconds=5), later),
        store=scene.store,
        registry=scene.registry,
        predictions=scene.files,
        policy=EstimatorPolicy(trusted_types=()),
    )
    assert (summary.windows, summary.predictions) == (2, 1)
