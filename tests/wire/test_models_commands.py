"""The `models` and `config` commands over a real blob service and database."""

from __future__ import annotations

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sensorwatch.app import Product
from sensorwatch.cli.app import app
from sensorwatch.config.detectors import EstimatorPolicy
from sensorwatch.config.file import parse_configuration
from sensorwatch.detectors.external.stored import estimator_from_bytes
from sensorwatch.errors import SensorwatchError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.sensors.records import SensorKey
from sensorwatch.tasks.records import TaskSpec, task_id

pytestmark = pytest.mark.wire

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
PARTITION = Partition("readings", "$Default", "0")


class Scene:
    """A database and a blob account with two trained sensors."""

    def __init__(self, azurite: str, folder: Path) -> None:
        suffix = uuid.uuid4().hex[:8]
        self.folder = folder
        settings = folder / "local.settings.json"
        settings.write_text('{"Values": {}}')
        self.environment = {
            "SENSORWATCH_SETTINGS": str(settings),
            "DATABASE_URL": f"sqlite:///{folder / 'sensorwatch.db'}",
            "DETECTOR": "ocsvm",
            "AzureWebJobsStorage": azurite,
            **{f"{name}_CONTAINER": f"{name.lower().replace('_', '-')}-{suffix}" for name in ("MODELS", "PREDICTIONS")},
            **{f"{name}_CONTAINER": f"{name.lower().replace('_', '-')}-{suffix}" for name in ("TASK_LOGS",)},
            "DEAD_LETTERS_CONTAINER": f"dead-letters-{suffix}",
        }
        self.product = Product.from_environment(self.environment)
        self.product.prepare(pool=False)

    def train(self, end: datetime, rules: str = "") -> str:
        store = self.product.store
        values = random.Random(end.hour)
        ids = store.sensor_ids([SensorKey("press-1", "temperature"), SensorKey("press-1", "valve")])
        windows = [
            Window(sensor_id, int(end.timestamp()) - 5 * i, 1, value, value, value, value**2)
            for tag, sensor_id in ((key.tag, sensor_id) for key, sensor_id in ids.items())
            for i, value in enumerate(values.gauss(20, 1) if tag == "temperature" else 7.5 for _ in range(300))
        ]
        mark = OffsetCheckpoint(int(end.timestamp()), end)
        store.commit_ingest(
            PARTITION, store.offset_checkpoint(PARTITION), mark, windows, IngestCounts(600, 600, 0, 0, 0)
        )
        summary = train(
            TaskSpec("train-1", task_id("train", 0), "train", 0, None, end),
            store=store,
            registry=self.product.models,
            detector_name="ocsvm",
            training_seconds=3600,
            needed=TrainingWindows(100),
            now=end,
            configuration=parse_configuration(rules, "test"),
        )
        return str(summary.version)

    def run(self, *words: str) -> str:
        result = CliRunner().invoke(app, list(words), env=dict(self.environment), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))


@pytest.fixture
def scene(azurite: str, tmp_path: Path) -> Scene:
    return Scene(azurite, tmp_path)


def test_versions_are_listed_shown_compared_and_rolled_back(scene: Scene) -> None:
    assert "No models yet" in scene.run("models")
    first, second = scene.train(NOON), scene.train(LATER)
    expected = [{"shard": 0, "version": second, "current": True}, {"shard": 0, "version": first, "current": False}]
    assert scene.json("models") == scene.json("models", "list") == expected

    shown = scene.json("models", "show", "press-1", "temperature")
    assert (shown["detector"], shown["state"], shown["windows"], shown["version"]) == ("ocsvm", "ready", 300, second)
    assert scene.json("models", "show", "press-1", "temperature", "--version", first)["version"] == first
    shard = scene.json("models", "show", "--shard", "0")
    assert shard["manifest"]["rows"] == len(shard["sensors"]) == 2
    for words in (("press-1", "valve"), ("--shard", "0")):
        assert "ocsvm" in scene.run("models", "show", *words)

    changes = scene.json("models", "diff", "0")
    assert [(change["tag"], change["change"]) for change in changes] == [
        ("temperature", "retrained"),
        ("valve", "retrained"),
    ]
    assert changes[0]["distance"] > 0
    assert scene.run("models", "diff", "0", second, second).endswith("no differences.\n")

    for _ in range(2):
        assert first in scene.run("models", "rollback", "0", "--to", first)
    assert scene.json("models")[1] == {"shard": 0, "version": first, "current": True}
    assert {sensor.model_version for sensor in scene.product.store.sensors()} == {first}


@pytest.mark.parametrize("tag", ["temperature", "valve"])
def test_an_exported_model_comes_in_again_and_scores_the_same(scene: Scene, tag: str) -> None:
    scene.train(NOON)
    file = scene.folder / f"model_press-1_{tag}.skops"
    scene.run("models", "export", "press-1", tag, str(file))
    decision = estimator_from_bytes(file.read_bytes(), EstimatorPolicy()).decision_function(np.array([[20.5], [7.5]]))
    assert (decision >= -1e-9).tolist() == ([True, False] if tag == "temperature" else [False, True])
    assert "imported 1 models, 1 of them calibrated" in scene.run("models", "import", str(file))
    assert scene.json("models", "show", "press-1", tag)["parameters"].startswith(f"imported from {file.name}")

    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    other = scene.json("models", "list")[-1]["version"]
    onnx = scene.folder / "any.onnx"
    scene.run("models", "export", "press-1", tag, str(onnx), "--version", other)
    scene.run("models", "import", str(onnx), "--device", "press-1", "--tag", tag)
    assert scene.json("models", "show", "press-1", tag)["detector"] == "onnx"


def test_wrong_words_are_answered_with_what_was_expected(scene: Scene) -> None:
    scene.train(NOON)
    for words, message in (
        (("show",), "expected either DEVICE and TAG of a sensor, or --shard N"),
        (("show", "press-9", "valve"), "no sensor with device press-9"),
        (("show", "--shard", "7"), "shard 7 has no models yet"),
        (("diff", "0"), "no version before"),
        (("rollback", "0"), "no version before"),
        (("export", "press-1", "valve", "model.pkl"), "ends in .skops or .onnx"),
        (("import", str(scene.folder)), "no files named model_DEVICE_TAG"),
        (("import", str(scene.folder / "nothing")), "file or folder not found"),
    ):
        result = CliRunner().invoke(app, ["models", *words], env=dict(scene.environment))
        assert isinstance(result.exception, SensorwatchError), words
        assert message in str(result.exception)


def test_a_configuration_is_checked_and_compared_with_the_models(scene: Scene) -> None:
    assert "no detector rules" in scene.run("config", "check")
    file = scene.folder / "sensorwatch.yaml"
    file.write_text("detectors: [{tag: temp*, estimator: sklearn.ensemble.IsolationForest, parameters: {trees: 3}}]")
    result = CliRunner().invoke(app, ["config", "check"], env=dict(scene.environment))
    assert "detectors.0: sklearn.ensemble.IsolationForest rejects its parameters" in str(result.exception)
    file.write_text("detectors: [{tag: temp*, estimator: sklearn.ensemble.IsolationForest}]")
    assert "valid, 1 detector rule" in scene.run("config", "check")

    scene.train(NOON)
    (change,) = scene.json("config", "diff")
    assert (change["device"], change["tag"], change["now"]) == ("press-1", "temperature", "ocsvm")
    assert "IsolationForest" in change["then"]
    scene.train(LATER, file.read_text())
    assert "No changes." in scene.run("config", "diff")
