"""Prediction files and logs of tasks in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sensorwatch.errors import NotFoundError
from sensorwatch.tasks.prediction_files import parse_predictions, predictions_to_bytes
from sensorwatch.telemetry import current_traceparent

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.tasks.records import TaskSpec

__all__ = ["FakePredictionFiles", "FakeTaskLogs"]

_MOST_BYTES = 1_048_576


class FakePredictionFiles:
    """Prediction files by name, as bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.traceparents: dict[str, str | None] = {}

    def write(self, task: TaskSpec, predictions: pa.Table) -> str:
        name = f"run={task.run_id}/shard={task.shard:06d}.parquet"
        self.files[name] = predictions_to_bytes(predictions, "parquet")
        self.traceparents[name] = current_traceparent()
        return name

    def read(self, name: str) -> pa.Table:
        if name not in self.files:
            raise NotFoundError(f"there is no {name}")
        return self.parse(name, self.files[name])

    def parse(self, name: str, content: bytes) -> pa.Table:
        return parse_predictions(name, content)

    def traceparent(self, name: str) -> str | None:
        if name not in self.files:
            raise NotFoundError(f"there is no {name}")
        return self.traceparents[name]

    def names(self, run_id: str) -> list[str]:
        return sorted(name for name in self.files if name.startswith(f"run={run_id}/"))


class FakeTaskLogs:
    """Outputs of tasks by run, task and stream."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str, str], bytes] = {}

    def read(self, run_id: str, task_id: str, stream: Literal["stdout", "stderr"]) -> bytes:
        if (run_id, task_id, stream) not in self.texts:
            raise NotFoundError(f"there is no {stream} of task {task_id} of {run_id}")
        return self.texts[run_id, task_id, stream][-_MOST_BYTES:]
