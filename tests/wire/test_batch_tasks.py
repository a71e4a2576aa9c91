"""The tasks' command lines over a real database and a real blob service."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sensorwatch.app import Product
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.wire

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
# Of these a task of the own detectors needs nothing, and its start is most of what it costs.
UNNEEDED = {"alembic", "fastapi", "icalendar", "joblib", "onnx", "onnxruntime", "rich", "scipy", "skops"}
UNNEEDED |= {"sklearn", "starlette", "typer"}
PARTITION = Partition("readings", "$Default", "0")


@pytest.fixture
def environment(azurite: str, tmp_path: Path) -> dict[str, str]:
    suffix = uuid.uuid4().hex[:8]
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'sensorwatch.db'}",
        "AzureWebJobsStorage": azurite,
        "MODELS_CONTAINER": f"models-{suffix}",
        "PREDICTIONS_CONTAINER": f"predictions-{suffix}",
        "DEAD_LETTERS_CONTAINER": f"dead-letters-{suffix}",
        "TASK_LOGS_CONTAINER": f"task-logs-{suffix}",
    }


def ingest(product: Product, sequence_number: int, end: datetime, values: list[float]) -> None:
    """Store one sensor's windows, the last of which ends at ``end``."""
    store = product.store
    (sensor_id,) = store.sensor_ids([SensorKey("pump", "temperature")]).values()
    last = int(end.timestamp())
    windows = [
        Window(sensor_id, last - 5 * back, 1, value, value, value, value * value)
        for back, value in enumerate(reversed(values))
    ]
    counts = IngestCounts(len(values), len(values), 0, 0, 0)
    store.commit_ingest(
        PARTITION, store.offset_checkpoint(PARTITION), OffsetCheckpoint(sequence_number, end), windows, counts
    )


def run(kind: str, end: datetime, environment: dict[str, str]) -> tuple[str, set[str]]:
    """Run a task; return what it says, and the packages that it imported."""
    command = [sys.executable, "-X", "importtime", "-m", f"batch_tasks.{kind}", "--run", f"{kind}-1", "--shard", "0"]
    ended = subprocess.run(
        [*command, "--end", end.isoformat()],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    imports = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    return ended.stdout, {line.rpartition("|")[2].strip().partition(".")[0] for line in imports}


def test_a_sensor_is_trained_and_scored_by_the_tasks(environment: dict[str, str]) -> None:
    product = Product.from_environment(environment)
    product.prepare(pool=False)
    values = random.Random(1)
    ingest(product, 1, NOON, [values.gauss(20, 1) for _ in range(300)])
    said, trained_with = run("train", NOON, environment)
    assert "trained 1 sensors on 300 windows; 1 ready" in said
    assert "trained 0 sensors" in run("train", NOON, environment)[0]
    (status,) = product.store.sensors()
    assert (status.state, status.trained_until) == ("ready", NOON)

    ingest(product, 2, LATER, [20.0, 99.0])
    said, scored_with = run("score", LATER, environment)
    assert "scored 2 of 2 windows (0 again), 1 anomalous" in said
    assert "an earlier try has scored all windows" in run("score", LATER, environment)[0]
    (name,) = product.prediction_files.names("score-1")
    assert product.prediction_files.read(name)["prediction"].to_pylist() == [1, -1]
    (activity,) = product.store.shard_activity()
    assert activity.scored_until == LATER
    assert {"pyarrow", "sqlalchemy", "azure"} <= trained_with & scored_with
    assert sorted(UNNEEDED & (trained_with | scored_with)) == []
