from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pytest

from sensorwatch.errors import InvalidInputError
from sensorwatch.tasks.prediction_files import BlobPredictionFiles
from sensorwatch.tasks.prediction_schema import prediction_schema
from sensorwatch.tasks.records import TaskSpec

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.wire

TASK = TaskSpec("score-1", "score-000012", "score", 12, None, datetime(2026, 11, 20, 10, tzinfo=UTC))


def predictions(value: float) -> pa.Table:
    row = {
        "sensor_id": 12_001,
        "device": "pump",
        "tag": "temperature",
        "ts": 1_800_000_000,
        "value": value,
        "prediction": 1,
        "score": 12.5,
        "severity": "normal",
        "expected_low": 1.0,
        "expected_high": 30.0,
        "model_version": "v1",
        "rescored": False,
    }
    return pa.Table.from_pylist([row], schema=prediction_schema())


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_a_task_run_again_replaces_its_file(container: ContainerClient, file_format: Literal["parquet", "csv"]) -> None:
    files = BlobPredictionFiles(container, file_format)
    files.write(TASK, predictions(20.0))
    name = files.write(TASK, predictions(21.0))
    assert name == f"run=score-1/shard=000012.{file_format}"
    assert files.names("score-1") == [name]
    assert files.read(name).equals(predictions(21.0))


def test_files_of_both_formats_are_read_whatever_is_written(container: ContainerClient) -> None:
    name = BlobPredictionFiles(container, "csv").write(TASK, predictions(20.0))
    assert BlobPredictionFiles(container, "parquet").read(name).equals(predictions(20.0))


def test_only_prediction_files_of_the_run_are_named(container: ContainerClient) -> None:
    files = BlobPredictionFiles(container, "parquet")
    name = files.write(TASK, predictions(20.0))
    files.write(TaskSpec("score-10", "score-000012", "score", 12, None, TASK.end), predictions(20.0))
    container.upload_blob("run=score-1/notes.txt", b"")
    assert files.names("score-1") == [name]
    assert files.names("score-2") == []


def test_bytes_that_are_no_prediction_file_are_refused(container: ContainerClient) -> None:
    container.upload_blob("run=x/shard=000000.parquet", b"hello")
    with pytest.raises(InvalidInputError, match="run=x/shard=000000"):
        BlobPredictionFiles(container, "parquet").read("run=x/shard=000000.parquet")
