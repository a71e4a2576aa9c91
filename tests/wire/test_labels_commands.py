"""From simulated processors to a trained network by the commands, over a real blob service and database."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from typer.testing import CliRunner

from sensorwatch.app import Product
from sensorwatch.cli.app import app
from sensorwatch.errors import SensorwatchError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.ingestion.windows import window_end
from sensorwatch.simulation.cpu import CpuFleet
from sensorwatch.simulation.ground_truth import write_ground_truth
from sensorwatch.tasks.records import TaskSpec, task_id

pytestmark = pytest.mark.wire

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = NOON - timedelta(hours=2)
PARTITION = Partition("readings", "$Default", "0")


class Scene:
    """A database with the load of two processors, and rules that give them networks."""

    def __init__(self, azurite: str, folder: Path) -> None:
        suffix = uuid.uuid4().hex[:8]
        (folder / "local.settings.json").write_text('{"Values": {}}')
        (folder / "sensorwatch.yaml").write_text("detectors: [{device: 'cpu-*', detector: mlp}]")
        self.truth, self.fleet = folder / "truth.ndjson", CpuFleet(processors=2)
        self.environment = {
            "SENSORWATCH_SETTINGS": str(folder / "local.settings.json"),
            "CONFIGURATION_FILE": str(folder / "sensorwatch.yaml"),
            "DATABASE_URL": f"sqlite:///{folder / 'sensorwatch.db'}",
            "AzureWebJobsStorage": azurite,
            "MODELS_CONTAINER": f"models-{suffix}",
        }
        self.product = Product.from_environment(self.environment)
        self.product.prepare(pool=False)
        self.ids = self.product.store.sensor_ids(list(self.fleet.sensors))
        readings = list(self.fleet.readings(START, NOON))
        windows = [
            Window(
                next(sensor_id for key, sensor_id in self.ids.items() if key == (reading.device, reading.tag)),
                window_end(reading.ticks, 5),
                1,
                reading.value,
                reading.value,
                reading.value,
                reading.value**2,
            )
            for reading in readings
        ]
        store, mark = self.product.store, OffsetCheckpoint(1, NOON)
        counts = IngestCounts(len(windows), len(windows), 0, 0, 0)
        store.commit_ingest(PARTITION, store.offset_checkpoint(PARTITION), mark, windows, counts)
        write_ground_truth(self.truth, self.fleet.labels(START, NOON))

    def train(self) -> None:
        self.product.train(TaskSpec("train-1", task_id("train", 0), "train", 0, None, NOON))

    def run(self, *arguments: str) -> str:
        result = CliRunner().invoke(app, arguments, env=self.environment, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def scene(azurite: str, tmp_path: Path) -> Scene:
    return Scene(azurite, tmp_path)


def test_labels_make_a_network_of_a_sensor_that_had_none(scene: Scene, tmp_path: Path) -> None:
    scene.train()
    (first, _) = scene.product.store.sensors()
    assert (first.state, first.reason[:29]) == ("failed", "none of its 1440 windows has ")
    labels = scene.fleet.labels(START, NOON)
    assert f"{len(labels)} labels of 2 sensors" in scene.run("labels", "import", str(scene.truth))
    assert "; 0 of their" in scene.run("labels", "import", str(scene.truth))
    listed = json.loads(scene.run("labels", "list", "--json"))
    assert [row["device"] for row in listed] == ["cpu-1", "cpu-2"]
    assert sum(row["anomalous"] for row in listed) == len(labels)

    scene.train()
    assert [sensor.state for sensor in scene.product.store.sensors()] == ["ready", "ready"]
    shown = scene.run("models", "show", "cpu-1", "load")
    for statistic in ("width 3", "mean 0.3", "holdout f1 0."):
        assert statistic in shown

    exported = tmp_path / "cpu.onnx"
    scene.run("models", "export", "cpu-1", "load", str(exported))
    session = onnxruntime.InferenceSession(exported.read_bytes(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"values": np.array([[0.3, 0.3, 0.3], [0.65, 0.65, 0.65]])})
    assert probabilities.argmax(axis=1).tolist() == [0, 1]

    assert "removed" in scene.run("labels", "remove", "cpu-1", "load")
    assert [row["device"] for row in json.loads(scene.run("labels", "list", "--json"))] == ["cpu-2"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_exported_windows_have_the_values_before_them_and_their_label(
    scene: Scene, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"windows{suffix}"
    scene.run("serve-data", "export", str(file), "--labels", str(scene.truth), "--device", "cpu-1", "--width", "4")
    frame = pd.read_csv(file) if suffix == ".csv" else pd.read_parquet(file)
    assert list(frame.columns) == ["TS", "Device", "Tag", "Value1", "Value2", "Value3", "Value4", "Label"]
    assert set(frame["Device"]) == {"cpu-1"}
    first = int(pd.to_datetime(frame["TS"], utc=True).iloc[0].timestamp()) // 5 - 1
    signal = scene.fleet.signal.emit(first, len(frame), seed=1, device="cpu-1", tag="load")
    assert frame["Label"].tolist() == signal.anomalous.astype(int).tolist()
    np.testing.assert_allclose(frame["Value4"], signal.values, atol=1e-6)
    np.testing.assert_array_equal(frame["Value3"][1:], frame["Value4"][:-1])


def test_without_labels_nothing_is_written_but_the_header(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "windows.csv"
    assert "wrote 0 windows" in scene.run("serve-data", "export", str(file))
    assert file.read_text().splitlines() == ["TS,Device,Tag,Value1,Value2,Value3,Label"]


def test_a_label_of_an_unknown_sensor_is_refused(scene: Scene, tmp_path: Path) -> None:
    other = tmp_path / "other.ndjson"
    write_ground_truth(other, CpuFleet(processors=3).labels(START, NOON))
    with pytest.raises(SensorwatchError, match="no sensor with device cpu-3 and tag load"):
        scene.run("labels", "import", str(other))
    assert scene.run("labels", "list").strip() == "No labels."
