"""Prediction files and logs of tasks in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from sensorwatch.errors import NotFoundError
from sensorwatch.tasks.prediction_files import parse_predictions, predictions_to_bytes
from sensorwatch.telemetry import current_traceparent

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from sensorwatch.tasks.records import TaskSpec

__all__ = ["FakePredictionFiles", "FakeTaskLogs"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


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
        return self.parse(name, _found(self.files, name))

    def parse(self, name: str, content: bytes) -> pa.Table:
        return parse_predictions(name, content)

    def traceparent(self, name: str) -> str | None:
        return _found(self.traceparents, name)

    def names(self, run_id: str) -> list[str]:
        return sorted(name for name in self.files if name.startswith(f"run={run_id}/"))


class FakeTaskLogs:
    """Outputs of tasks by run, task and stream."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str, str], bytes] = {}

    def read(self, run_id: str, task_id: str, stream: Literal["stdout", "stderr"]) -> bytes:
        return _found(self.texts, (run_id, task_id, stream))


def _found(kept: Mapping[_Key, _Value], key: _Key) -> _Value:
    try:
        return kept[key]
    except KeyError:
        raise NotFoundError(f"there is no {key}") from None
