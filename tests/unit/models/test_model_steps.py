"""Rolling back, comparing, importing, exporting, and what a configuration would change."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import numpy as np
import pytest
from fakes.models import NOON, FakeRegistry, FakeStore, task
from fakes.tasks import FakePredictionFiles
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sensorwatch.config.detectors import EstimatorPolicy
from sensorwatch.config.file import Configuration, parse_configuration
from sensorwatch.detectors.external.stored import estimator_to_bytes
from sensorwatch.errors import ConflictError, CorruptModelError, InvalidInputError, NotFoundError
from sensorwatch.models.config_diff import configuration_changes
from sensorwatch.models.diff import describe_model, model_changes
from sensorwatch.models.export_model import export_model, model_row
from sensorwatch.models.import_models import ImportedModels, ModelFile, import_models, sensor_of
from sensorwatch.models.records import ModelRef
from sensorwatch.models.rollback import roll_back
from sensorwatch.models.scoring.score import score
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.sensors.records import SensorKey

LATER = NOON + timedelta(hours=1)
NO_RULES = Configuration()


class Catalogue(FakeStore):
    """A store that gives new sensors the next ids."""

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        known = {status.key: sensor_id for sensor_id, status in self.statuses.items()}
        for key in keys:
            if key not in known:
                sensor_id = len(self.statuses)
                self.register(sensor_id)
                object.__setattr__(self.statuses[sensor_id], "key", key)
                known[key] = sensor_id
        return {key: known[key] for key in keys}


class Scene:
    def __init__(self) -> None:
        self.store = Catalogue()
        self.registry = FakeRegistry()

    def train(self, end: datetime, configuration: Configuration = NO_RULES) -> str:
        summary = train(
            task("train", end),
            store=self.store,
            registry=self.registry,
            detector_name="ocsvm",
            training_seconds=3600,
            needed=TrainingWindows(100),
            now=end,
            configuration=configuration,
        )
        return str(summary.version)

    def import_(self, *files: ModelFile, now: datetime = LATER) -> ImportedModels:
        return import_models(
            files,
            store=self.store,
            registry=self.registry,
            policy=EstimatorPolicy(),
            training_seconds=3600,
            now=now,
        )

    def row(self, sensor_id: int) -> dict[str, object]:
        return model_row(self.registry.load(self.registry.pointers[0]), sensor_id)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def noise(n: int, level: float = 20.0, seed: int = 1) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(level, 1.0, n).tolist()
    return values


def svm_file(name: str = "model_press_temp.skops", level: float = 20.0) -> ModelFile:
    fitted = OneClassSVM(gamma=0.1, nu=0.1).fit(np.array(noise(100, level)).reshape(-1, 1))
    return ModelFile(sensor_of(name, []), name, estimator_to_bytes(fitted))


# ---- rollback --------------------------------------------------------------------------------------------------------


def test_rolling_back_moves_the_pointer_and_the_sensors_with_it(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    first = scene.train(NOON)
    scene.store.add(1, noise(300, seed=2), end=LATER)
    second = scene.train(LATER)
    done = roll_back(0, None, store=scene.store, registry=scene.registry)
    assert (done.before, done.after, done.sensors) == (second, first, 1)
    assert scene.registry.pointers[0].version == scene.store.statuses[1].model_version == first
    for _ in range(2):
        assert roll_back(0, second, store=scene.store, registry=scene.registry).after == second
    assert "already" in str(roll_back(0, second, store=scene.store, registry=scene.registry))


def test_a_version_that_is_missing_or_damaged_is_not_pointed_at(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    first = scene.train(NOON)
    with pytest.raises(NotFoundError, match=f"no version before {first}"):
        roll_back(0, None, store=scene.store, registry=scene.registry)
    with pytest.raises(NotFoundError, match=f"no version `nonsense`; its newest are: {first}"):
        roll_back(0, "nonsense", store=scene.store, registry=scene.registry)
    damaged = scene.registry.pointers[0]
    scene.store.add(1, noise(300, seed=2), end=LATER)
    second = scene.train(LATER)
    scene.registry.damage(damaged)
    with pytest.raises(CorruptModelError):
        roll_back(0, first, store=scene.store, registry=scene.registry)
    assert scene.registry.pointers[0].version == second


def test_rolling_back_a_shard_without_models_names_the_option(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match="name a version with --to"):
        roll_back(0, None, store=scene.store, registry=scene.registry)


def test_rolling_back_while_a_training_publishes_is_a_conflict(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.store.add(1, noise(300))
    first = scene.train(NOON)
    scene.store.add(1, noise(300, seed=2), end=LATER)
    scene.train(LATER)
    newest, point = scene.registry.pointers[0], scene.registry.point

    def pointed_and_overtaken(ref: ModelRef, previous: ModelRef | None) -> None:
        point(ref, previous)
        scene.registry.pointers[0] = newest

    monkeypatch.setattr(scene.registry, "point", pointed_and_overtaken)
    with pytest.raises(ConflictError, match="a training task moved the pointer at the same time"):
        roll_back(0, first, store=scene.store, registry=scene.registry)
    assert scene.store.statuses[1].model_version == newest.version


# ---- import ----------------------------------------------------------------------------------------------------------


def test_an_imported_model_is_ready_and_scores_like_the_original(scene: Scene) -> None:
    done = scene.import_(svm_file())
    assert (done.sensors, done.calibrated) == (1, 0)
    (status,) = scene.store.statuses.values()
    assert (status.key, status.state) == (SensorKey("press", "temp"), "ready")
    scene.store.add(0, [20.0, 90.0], end=LATER)
    files = FakePredictionFiles()
    score(task("score", LATER), store=scene.store, registry=scene.registry, predictions=files)
    (name,) = files.files
    assert files.read(name)["prediction"].to_pylist() == [1, -1]


def test_importing_the_same_again_changes_nothing(scene: Scene) -> None:
    first = scene.import_(svm_file())
    outcomes = len(scene.store.outcomes)
    assert scene.import_(svm_file(), now=LATER + timedelta(days=1)).versions == first.versions
    assert (len(scene.registry.files), len(scene.store.outcomes)) == (1, outcomes)


def test_an_imported_model_replaces_a_trained_one_and_is_calibrated_on_its_windows(scene: Scene) -> None:
    scene.store.add(0, noise(300))
    object.__setattr__(scene.store.statuses[0], "key", SensorKey("press", "temp"))
    scene.train(NOON)
    assert scene.import_(svm_file()).calibrated == 1
    row = scene.row(0)
    assert (row["detector"], row["first_training_end"]) == ("sklearn", NOON.timestamp())
    assert row["scale"] != 1.0


def test_training_leaves_an_imported_model_alone_until_a_rule_names_its_sensor(scene: Scene) -> None:
    scene.import_(svm_file())
    for hours in (2, 3):
        scene.store.add(0, noise(300, seed=hours), end=NOON + timedelta(hours=hours))
    scene.train(NOON + timedelta(hours=2))
    assert scene.row(0)["detector"] == "sklearn"
    scene.train(NOON + timedelta(hours=3), parse_configuration("detectors: [{tag: temp, detector: ocsvm}]", "test"))
    assert scene.row(0)["detector"] == "ocsvm"


def test_one_bad_file_of_many_stops_the_import_with_a_line_for_each(scene: Scene) -> None:
    scaler = StandardScaler().fit(np.zeros((3, 1)))
    wide = OneClassSVM().fit(np.zeros((5, 2)))
    files = [
        svm_file(),
        ModelFile(SensorKey("a", "1"), "model_a_1.skops", b"nope"),
        ModelFile(SensorKey("a", "2"), "model_a_2.skops", estimator_to_bytes(scaler)),
        ModelFile(SensorKey("a", "3"), "model_a_3.skops", estimator_to_bytes(wide)),
        svm_file(),
    ]
    with pytest.raises(InvalidInputError) as raised:
        scene.import_(*files)
    lines = str(raised.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "device press, tag temp",
        "model_a_1.skops",
        "model_a_2.skops",
        "model_a_3.skops",
    ]
    assert scene.registry.files == {}
    assert scene.store.statuses == {}


@pytest.mark.parametrize("name", ["model_1.skops", "1_2.skops", "model_1_2.pkl", "model_a_b_c.onnx", "model__1.skops"])
def test_a_name_that_leaves_its_sensor_open_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=name):
        sensor_of(name, [])


# ---- export and compare ----------------------------------------------------------------------------------------------


def test_an_imported_model_is_exported_as_the_file_that_it_was(scene: Scene) -> None:
    scene.import_(svm_file())
    assert export_model(scene.row(0), ".skops") == svm_file().content
    with pytest.raises(InvalidInputError, match=r"as \.skops only"):
        export_model(scene.row(0), ".onnx")


def test_a_model_that_cannot_be_exported_is_refused_with_those_that_can() -> None:
    row = {"detector": "auto", "params": {"weights": {}}, "state": "ready", "reason": ""}
    for suffix in (".onnx", ".skops"):
        with pytest.raises(InvalidInputError) as caught:
            export_model(row, suffix)
        assert str(caught.value) == (
            "models of the detector `auto` can't be exported, expected one of mlp (.onnx), ocsvm (.onnx or .skops), "
            "ocsvm_sklearn (.onnx or .skops), onnx (.onnx), sklearn (.skops); to export this sensor's model, name one "
            "of these detectors for it in sensorwatch.yaml and train it again"
        )


def test_a_sensor_without_a_model_has_nothing_to_export(scene: Scene) -> None:
    scene.store.add(1, noise(7))
    scene.train(NOON)
    with pytest.raises(NotFoundError, match="it is warming, 7 of 100 windows"):
        export_model(scene.row(1), ".skops")
    with pytest.raises(NotFoundError, match="sensor 9 has no model"):
        scene.row(9)


def test_versions_differ_in_what_was_added_retrained_or_given_another_detector(scene: Scene) -> None:
    for sensor_id in (1, 2, 3):
        scene.store.add(sensor_id, noise(300, seed=sensor_id))
    scene.train(NOON)
    before = scene.registry.load(scene.registry.pointers[0])
    scene.store.add(2, noise(300, level=60, seed=9), end=LATER)
    scene.store.add(3, noise(300, seed=9), end=LATER)
    scene.store.add(4, noise(300), end=LATER)
    scene.train(LATER, parse_configuration("detectors: [{device: device-3, detector: ocsvm_sklearn}]", "test"))
    after = scene.registry.load(scene.registry.pointers[0])
    changes = model_changes(before, after)
    assert [(change.sensor_id, change.kind) for change in changes] == [
        (2, "retrained"),
        (3, "detector"),
        (4, "added"),
    ]
    assert changes[0].distance is not None
    assert 0 < changes[0].distance < 1
    assert [change.kind for change in model_changes(after, before)] == ["retrained", "detector", "removed"]
    assert model_changes(after, after) == []


def test_a_model_is_described_in_plain_names(scene: Scene) -> None:
    scene.store.add(1, noise(300))
    scene.train(NOON)
    described = describe_model(scene.row(1))
    assert (described["detector"], described["state"], described["windows"]) == ("ocsvm", "ready", 300)
    assert described["trained_until"] == "2026-11-20T12:00:00Z"
    assert "2 support vectors" in described["parameters"]


# ---- what a configuration would change -------------------------------------------------------------------------------


def test_a_dry_run_lists_the_sensors_that_would_change_and_changes_nothing(scene: Scene) -> None:
    for sensor_id in (1, 2):
        scene.store.add(sensor_id, noise(300, seed=sensor_id))
    scene.train(NOON)
    rules = parse_configuration("detectors: [{device: device-2, estimator: sklearn.svm.OneClassSVM}]", "test")
    files = dict(scene.registry.files)
    (change,) = configuration_changes(rules, "ocsvm", store=scene.store, registry=scene.registry)
    assert (change.sensor_id, change.now) == (2, "ocsvm")
    assert "sklearn.svm.OneClassSVM" in change.then
    assert scene.registry.files == files
    assert not list(configuration_changes(NO_RULES, "ocsvm", store=scene.store, registry=scene.registry))
