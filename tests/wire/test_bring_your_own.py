"""Pre-trained models, a data file and a job give prediction files: the way without Event Hubs and without training."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from local_stack import ROOT
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from typer.testing import CliRunner

from sensorwatch.app import Product
from sensorwatch.cli.app import app
from sensorwatch.detectors.external.stored import estimator_to_bytes

pytestmark = pytest.mark.wire

DATA = Path(os.environ.get("SENSORWATCH_TEST_DATA") or ROOT.parent / "shared" / "data") / "sensor_data.csv"
HEADER = (
    "TS,Device,Tag,Val,Prediction,Score,Severity,ExpectedLow,ExpectedHigh,ModelVersion,SensorId,Rescored,"
    "TrainingStart,TrainingEnd,ExpectedValue,Explanation,Warming"
)


@pytest.fixture
def environment(azurite: str, tmp_path: Path) -> dict[str, str]:
    suffix = uuid.uuid4().hex[:8]
    settings = tmp_path / "local.settings.json"
    settings.write_text('{"Values": {}}')
    return {
        "SENSORWATCH_SETTINGS": str(settings),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'sensorwatch.db'}",
        "AzureWebJobsStorage": azurite,
        "MODELS_CONTAINER": f"models-{suffix}",
        "PREDICTIONS_CONTAINER": f"predictions-{suffix}",
        "DEAD_LETTERS_CONTAINER": f"dead-letters-{suffix}",
        "TASK_LOGS_CONTAINER": f"task-logs-{suffix}",
        "PREDICTION_FORMAT": "csv",
    }


@pytest.fixture
def frame() -> pd.DataFrame:
    """Eight hours of four sensors' window averages, as the original system stores them."""
    random = np.random.default_rng(5)
    times = pd.date_range("2018-08-28 23:00:05", periods=400, freq="5s")
    parts = [
        pd.DataFrame({"TS": times, "Device": device, "Tag": tag, "Value": random.normal(10 * device + tag, 1, 400)})
        for device in (1, 2)
        for tag in (1, 4)
    ]
    return pd.concat(parts, ignore_index=True)


def original_models(frame: pd.DataFrame, folder: Path) -> dict[tuple[str, str], Pipeline]:
    """Train the original system's model for each sensor on the first half of its data, and write the files."""
    folder.mkdir()
    models = {}
    for (device, tag), rows in frame.groupby(["Device", "Tag"]):
        half = rows["Value"].to_numpy()[: len(rows) // 2].reshape(-1, 1)
        model = make_pipeline(StandardScaler(), OneClassSVM(nu=0.0001, kernel="rbf", gamma=0.01)).fit(half)
        (folder / f"model_{device}_{tag}.skops").write_bytes(estimator_to_bytes(model))
        models[str(device), str(tag)] = model
    return models


def sensorwatch(environment: Mapping[str, str], *words: str) -> str:
    result = CliRunner().invoke(app, list(words), env=dict(environment), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def task(environment: Mapping[str, str], *words: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "batch_tasks.score", *words],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def predictions(product: Product) -> pd.DataFrame:
    container = product.blobs.get_container_client(product.settings.predictions_container)
    parts = [container.download_blob(name).readall() for name in container.list_blob_names()]
    assert {part.partition(b"\n")[0].decode() for part in parts} == {HEADER}
    return pd.concat([pd.read_csv(io.BytesIO(part), dtype={"Device": str, "Tag": str}) for part in parts])


def check_against(models: Mapping[tuple[str, str], Pipeline], frame: pd.DataFrame, found: pd.DataFrame) -> None:
    """Hold every row of the data against what scikit-learn says of it."""
    windows = frame.groupby(["Device", "Tag", "TS"], as_index=False)["Value"].mean()
    assert len(found) == len(windows)
    by_sensor = dict(list(found.groupby(["Device", "Tag"])))
    for (device, tag), rows in windows.groupby(["Device", "Tag"]):
        own = by_sensor[str(device), str(tag)].sort_values("TS")
        column = rows["Value"].to_numpy().reshape(-1, 1)
        decision = models[str(device), str(tag)].decision_function(column)
        clear = np.abs(decision) > 1e-9
        np.testing.assert_allclose(own["Val"], column[:, 0], rtol=1e-12)
        np.testing.assert_array_equal(own["Prediction"].to_numpy()[clear], np.where(decision >= 0, 1, -1)[clear])


def test_pre_trained_models_score_a_data_file_in_a_task(
    environment: dict[str, str], frame: pd.DataFrame, tmp_path: Path
) -> None:
    product = Product.from_environment(environment)
    product.prepare(pool=False)
    models = original_models(frame, tmp_path / "models")
    assert "imported 4 models" in sensorwatch(environment, "models", "import", str(tmp_path / "models"))
    container = product.blobs.create_container(f"data-{uuid.uuid4().hex[:8]}")
    name = f"{container.container_name}/2018/hour.csv"
    container.upload_blob("2018/hour.csv", frame.to_csv(index=False))

    for _ in range(2):
        assert "1600 windows of 4 sensors" in task(environment, "--data", name)

    check_against(models, frame, predictions(product))
    assert [sensor.state for sensor in product.store.sensors()] == ["ready"] * 4


def test_the_command_line_scores_parquet_as_well(
    environment: dict[str, str], frame: pd.DataFrame, tmp_path: Path
) -> None:
    product = Product.from_environment(environment)
    product.prepare(pool=False)
    models = original_models(frame, tmp_path / "models")
    sensorwatch(environment, "models", "import", *(str(path) for path in sorted((tmp_path / "models").iterdir())))
    frame.to_parquet(tmp_path / "hour.parquet")
    assert "1600 of 1600 windows" in sensorwatch(environment, "score", "--data", str(tmp_path / "hour.parquet"))
    check_against(models, frame, predictions(product))


def test_the_predictions_of_a_data_file_become_anomalies(
    environment: dict[str, str], frame: pd.DataFrame, tmp_path: Path
) -> None:
    product = Product.from_environment(environment)
    product.prepare(pool=False)
    original_models(frame, tmp_path / "models")
    sensorwatch(environment, "models", "import", str(tmp_path / "models"))
    frame.to_csv(tmp_path / "hour.csv", index=False)
    (summary,) = product.score_data(str(tmp_path / "hour.csv")).shards
    assert summary.file is not None
    container = product.blobs.get_container_client(product.settings.predictions_container)
    product.publish(summary.file, container.download_blob(summary.file).readall())
    assert len(product.store.anomalies(limit=10_000)) == summary.anomalies > 0


@pytest.mark.skipif(not DATA.exists(), reason=f"no {DATA}; SENSORWATCH_TEST_DATA names its folder")
def test_the_recorded_data_are_scored_as_they_stand(environment: dict[str, str], tmp_path: Path) -> None:
    recorded = pd.read_csv(DATA, parse_dates=["TS"])
    product = Product.from_environment(environment)
    product.prepare(pool=False)
    models = original_models(recorded, tmp_path / "models")
    assert "imported 15 models" in sensorwatch(environment, "models", "import", str(tmp_path / "models"))
    assert "17768 windows of 15 sensors" in task(environment, "--data", str(DATA))
    check_against(models, recorded, predictions(product))
