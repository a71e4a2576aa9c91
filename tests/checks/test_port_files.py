"""Files of tasks and machines in memory and in blobs keep the same contracts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from fakes.machines import FakeMachineData
from fakes.tasks import FakePredictionFiles, FakeTaskLogs
from telemetry_memory import telemetry_in_memory

from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.machines.data_files import BlobMachineData
from sensorwatch.machines.datasets import Reject, schema_of
from sensorwatch.machines.fleet import SIGNALS
from sensorwatch.tasks.logs import BlobTaskLogs
from sensorwatch.tasks.prediction_files import BlobPredictionFiles, predictions_to_bytes
from sensorwatch.tasks.prediction_schema import prediction_schema
from sensorwatch.tasks.records import TaskSpec
from sensorwatch.telemetry import current_traceparent, span

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.machines.ports import MachineData
    from sensorwatch.tasks.ports import PredictionFiles, TaskLogs

    PutLog = Callable[[str, str, str, bytes], object]

ADAPTERS = ["fake", pytest.param("blob", marks=pytest.mark.wire)]
TASK = TaskSpec("score-1", "score-000012", "score", 12, None, datetime(2026, 11, 20, 10, tzinfo=UTC))
OTHER_TASK = TaskSpec("score-10", "score-000012", "score", 12, None, TASK.end)
MARCH = int(datetime(2026, 3, 31, 23, tzinfo=UTC).timestamp())
HOUR = 3600


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


def telemetry(*rows: tuple[int, int]) -> pa.Table:
    """Rows of (machine, hours after MARCH)."""
    found = [
        {"datetime": MARCH + HOUR * hour, "machineID": machine, **dict.fromkeys(SIGNALS, 1.0)} for machine, hour in rows
    ]
    return pa.Table.from_pylist(found, schema_of("telemetry"))


def as_rows(table: pa.Table) -> list[tuple[int, int]]:
    times = [(time - MARCH) // HOUR for time in table["datetime"].to_pylist()]
    return sorted(zip(table["machineID"].to_pylist(), times, strict=True))


# ---- predictions -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=ADAPTERS)
def files(request: pytest.FixtureRequest) -> PredictionFiles:
    if request.param == "fake":
        return FakePredictionFiles()
    return BlobPredictionFiles(request.getfixturevalue("container"), "parquet")


def test_a_task_that_runs_again_replaces_its_file(files: PredictionFiles) -> None:
    files.write(TASK, predictions(20.0))
    name = files.write(TASK, predictions(21.0))
    assert name == "run=score-1/shard=000012.parquet"
    assert files.names("score-1") == [name]
    assert files.read(name).equals(predictions(21.0))


def test_only_the_files_of_a_run_are_named(files: PredictionFiles) -> None:
    name = files.write(TASK, predictions(20.0))
    files.write(OTHER_TASK, predictions(20.0))
    assert files.names("score-1") == [name]
    assert files.names("score-2") == []


def test_a_file_is_parsed_from_its_bytes(files: PredictionFiles) -> None:
    for suffix in ("parquet", "csv"):
        content = predictions_to_bytes(predictions(20.0), suffix)
        assert files.parse(f"run=x/shard=000000.{suffix}", content).equals(predictions(20.0))
        with pytest.raises(InvalidInputError, match="run=x/shard=000000"):
            files.parse(f"run=x/shard=000000.{suffix}", b"hello")


def test_a_table_without_the_columns_of_predictions_is_refused(files: PredictionFiles) -> None:
    with pytest.raises(InvalidInputError, match="missing: score"):
        files.write(TASK, predictions(20.0).drop_columns(["score"]))
    assert files.names("score-1") == []


def test_a_file_knows_the_trace_of_its_task(files: PredictionFiles) -> None:
    name = files.write(TASK, predictions(20.0))
    assert files.traceparent(name) is None
    with telemetry_in_memory(), span("score"):
        traceparent = current_traceparent()
        assert traceparent is not None
        files.write(TASK, predictions(20.0))
    assert files.traceparent(name) == traceparent


def test_a_file_that_does_not_exist_is_not_found(files: PredictionFiles) -> None:
    for ask in (files.read, files.traceparent):
        with pytest.raises(NotFoundError):
            ask("run=x/shard=000000.parquet")


# ---- logs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=ADAPTERS)
def logs(request: pytest.FixtureRequest) -> tuple[TaskLogs, PutLog]:
    """Logs of tasks, and the way to put one there as the pool does."""
    if request.param == "fake":
        kept = FakeTaskLogs()
        return kept, lambda run, task, stream, text: kept.texts.update({(run, task, stream): text})
    blobs = request.getfixturevalue("container")
    return BlobTaskLogs(blobs), lambda run, task, stream, text: blobs.upload_blob(f"{run}/{task}/{stream}.txt", text)


def test_an_output_is_read_and_one_that_does_not_exist_is_not_found(logs: tuple[TaskLogs, PutLog]) -> None:
    kept, put = logs
    put("score-1", "score-000012", "stderr", "naïve\n".encode())
    put("score-1", "score-000012", "stdout", b"")
    assert kept.read("score-1", "score-000012", "stderr") == "naïve\n".encode()
    assert kept.read("score-1", "score-000012", "stdout") == b""
    with pytest.raises(NotFoundError, match="no stderr of task score-000013 of score-1"):
        kept.read("score-1", "score-000013", "stderr")


def test_a_long_output_is_read_from_its_end(logs: tuple[TaskLogs, PutLog]) -> None:
    kept, put = logs
    put("score-1", "score-000012", "stderr", b"a" * 10 + b"b" * 1_048_576)
    assert kept.read("score-1", "score-000012", "stderr") == b"b" * 1_048_576


# ---- machines --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=ADAPTERS)
def data(request: pytest.FixtureRequest) -> MachineData:
    if request.param == "fake":
        return FakeMachineData(10)
    return BlobMachineData(request.getfixturevalue("container"), 10)


def test_rows_are_stored_once_by_shard_and_month(data: MachineData) -> None:
    rows = telemetry((3, 0), (3, 1), (3, 2), (14, 0), (1, 0))
    assert data.add("telemetry", rows) == 3
    assert data.add("telemetry", rows) == 0
    assert data.add("telemetry", rows.slice(1)) == 1
    assert data.shards() == [0, 1]
    assert as_rows(data.read("telemetry", [1], None, 2**40)) == [(14, 0)]


def test_rows_are_read_after_the_start_up_to_and_with_the_end(data: MachineData) -> None:
    data.add("telemetry", telemetry(*((3, hour) for hour in range(-2, 4))))
    data.add("telemetry", telemetry((14, 2)))
    found = data.read("telemetry", [0, 1], MARCH, MARCH + 2 * HOUR)
    assert found.schema.equals(schema_of("telemetry"))
    assert as_rows(found) == [(3, 1), (3, 2), (14, 2)]
    assert as_rows(data.read("telemetry", [0, 7], None, MARCH)) == [(3, -2), (3, -1), (3, 0)]
    assert data.read("errors", [0], None, 2**40).num_rows == 0


def test_the_newest_row_of_a_data_set_is_known(data: MachineData) -> None:
    assert data.newest() is None
    data.add("telemetry", telemetry((3, 0), (14, 5), (4, 1)))
    assert data.newest() == MARCH + 5 * HOUR
    assert data.newest("errors") is None
    data.add(
        "errors", pa.Table.from_pylist([{"datetime": 5, "machineID": 1, "errorID": "error1"}], schema_of("errors"))
    )
    assert (data.newest("errors"), data.shards()) == (5, [0, 1])


def test_rejects_do_not_count_as_rows(data: MachineData) -> None:
    assert data.add_rejects("telemetry", "a.csv", [Reject(2, "volt: expected a number")]).startswith(
        "rejects/telemetry/"
    )
    assert (data.shards(), data.newest()) == ([], None)
