"""Ports of tasks: prediction files and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.tasks.records import (
        TaskSpec,
    )

__all__ = ["PredictionFiles", "PredictionWriter", "TaskLogs"]


class PredictionWriter(Protocol):
    """Where scoring puts its predictions; columns as ``sensorwatch.tasks.prediction_schema`` documents them."""

    def write(self, task: TaskSpec, predictions: pa.Table) -> str:
        """Store a task's predictions, replacing what an earlier try left; return the blob's name."""
        ...


class PredictionFiles(PredictionWriter, Protocol):
    """One file of predictions per task."""

    def read(self, name: str) -> pa.Table:
        """Return a file's predictions."""
        ...

    def parse(self, name: str, content: bytes) -> pa.Table:
        """Return the predictions in a file's bytes, as a blob trigger delivers them.

        Raises
        ------
        InvalidInputError
            It is not a prediction file; says what was expected.
        """
        ...

    def traceparent(self, name: str) -> str | None:
        """Return the trace of the task that wrote a file; None where nothing was traced."""
        ...

    def names(self, run_id: str) -> list[str]:
        """Return the names of a run's files."""
        ...


class TaskLogs(Protocol):
    """What tasks wrote."""

    def read(self, run_id: str, task_id: str, stream: Literal["stdout", "stderr"]) -> bytes:
        """Return the end of an output.

        Raises
        ------
        NotFoundError
            There is none: the task has not ended, or there is no such task.
        """
        ...
