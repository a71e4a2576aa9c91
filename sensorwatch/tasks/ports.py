"""Ports of tasks: prediction files and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.tasks.records import TaskSpec

__all__ = ["PredictionFiles", "PredictionWriter", "TaskLogs"]


class PredictionWriter(Protocol):
    """Destination of predictions; their columns are those of :mod:`sensorwatch.tasks.prediction_schema`."""

    def write(self, task: TaskSpec, predictions: pa.Table) -> str:
        """Store a task's predictions in place of those of an earlier try; return the name of the file."""
        ...


class PredictionFiles(PredictionWriter, Protocol):
    """Prediction files, one for each task."""

    def read(self, name: str) -> pa.Table:
        """Return the predictions in a file."""
        ...

    def parse(self, name: str, content: bytes) -> pa.Table:
        """Return the predictions in the content of a file, as a blob trigger delivers it.

        Raises
        ------
        InvalidInputError
            The content is not a prediction file.
        """
        ...

    def traceparent(self, name: str) -> str | None:
        """Return the trace of the task that wrote a file; None if the task was not traced."""
        ...

    def names(self, run_id: str) -> list[str]:
        """Return the names of a run's files, in order."""
        ...


class TaskLogs(Protocol):
    """Logs of tasks."""

    def read(self, run_id: str, task_id: str, stream: Literal["stdout", "stderr"]) -> bytes:
        """Return the last part of a task's output.

        Parameters
        ----------
        run_id, task_id
            The run and its task.
        stream
            The output.

        Raises
        ------
        NotFoundError
            There is no such log: the task has not ended, or there is no such task.
        """
        ...
