"""The training step with a detector that learns from labels."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from fakes.models import NOON, FakeRegistry, FakeStore, task
from fakes.tasks import FakePredictionFiles

from sensorwatch.config.file import parse_configuration
from sensorwatch.errors import InvalidInputError
from sensorwatch.models.diff import describe_model
from sensorwatch.models.export_model import export_model, model_row
from sensorwatch.models.scoring.score import score
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import TrainSummary, train
from sensorwatch.sensors.labels import LabelSpan, ShardLabels
from sensorwatch.simulation.markov import MarkovSignal

RULES = parse_configuration("detectors: [{device: device-1, detector: mlp}]", "test")
VALUES, BUSY = MarkovSignal().emit(0, 820, seed=1, device="device-1", tag="temperature")
LAST = int(NOON.timestamp())


def labels(shown: int = 720) -> ShardLabels:
    """Return labels of sensor 1's windows up to noon, of which the last are the training windows."""
    ends = LAST - 5 * np.arange(shown)[::-1]
    found = [LabelSpan(1, end, end, anomalous=True) for end in ends[BUSY[:shown]].tolist()]
    return ShardLabels([*found, LabelSpan(1, int(ends[0]), LAST, anomalous=False)])


@pytest.fixture
def store() -> FakeStore:
    store = FakeStore()
    store.add(1, VALUES[:720].tolist())
    store.add(2, VALUES[:720].tolist())
    return store


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


def run(store: FakeStore, registry: FakeRegistry) -> TrainSummary:
    return train(
        task("train"),
        store=store,
        registry=registry,
        detector_name="ocsvm",
        training_seconds=3600,
        needed=TrainingWindows(100),
        now=NOON,
        configuration=RULES,
    )


def test_a_sensor_without_labels_fails_alone_and_says_what_to_do(store: FakeStore, registry: FakeRegistry) -> None:
    run(store, registry)
    assert store.statuses[1].state == "failed"
    assert store.statuses[1].reason.startswith("none of its 720 windows has a label")
    assert "sensorwatch labels import" in store.statuses[1].reason
    assert store.statuses[2].state == "ready"


def test_labels_that_came_later_train_it(store: FakeStore, registry: FakeRegistry) -> None:
    run(store, registry)
    store.labels = labels()
    run(store, registry)
    assert (store.statuses[1].state, store.statuses[1].reason) == ("ready", "")
    shown = describe_model(model_row(registry.load(registry.pointers[0]), 1))
    assert shown["detector"] == "mlp"
    for statistic in ("width 3", "mean 0.3", "scale 0.1", "labelled windows 720", "holdout f1 0."):
        assert statistic in shown["parameters"]


def test_labels_that_are_gone_leave_the_former_model_in_use(store: FakeStore, registry: FakeRegistry) -> None:
    store.labels = labels()
    run(store, registry)
    version = store.statuses[1].model_version
    store.labels = ShardLabels()
    later = NOON + timedelta(minutes=5)
    store.add(1, VALUES[720:780].tolist(), end=later)
    train(
        task("train", later),
        store=store,
        registry=registry,
        detector_name="ocsvm",
        training_seconds=3600,
        needed=TrainingWindows(100),
        now=later,
        configuration=RULES,
    )
    assert (store.statuses[1].state, store.statuses[1].model_version) == ("stale", version)
    assert "has a label" in store.statuses[1].reason


def test_training_twice_with_the_same_labels_gives_one_version(store: FakeStore, registry: FakeRegistry) -> None:
    store.labels = labels()
    assert run(store, registry).version == run(store, registry).version
    assert len(registry.files) == 1


def test_it_scores_what_comes_after_its_training(store: FakeStore, registry: FakeRegistry) -> None:
    store.labels = labels()
    run(store, registry)
    later = NOON + timedelta(seconds=500)
    store.add(1, VALUES[720:].tolist(), end=later)
    files = FakePredictionFiles()
    summary = score(task("score", later), store=store, registry=registry, predictions=files)
    assert summary.file is not None
    table = files.read(summary.file)
    assert table.num_rows == 100
    found = np.array(table["score"].to_pylist()) >= 50
    assert (found == BUSY[720:]).mean() > 0.85


def test_it_is_exported_as_onnx_only(store: FakeStore, registry: FakeRegistry) -> None:
    store.labels = labels()
    run(store, registry)
    row = model_row(registry.load(registry.pointers[0]), 1)
    assert export_model(row, ".onnx")
    with pytest.raises(InvalidInputError, match=r"can be exported as \.onnx only"):
        export_model(row, ".skops")
