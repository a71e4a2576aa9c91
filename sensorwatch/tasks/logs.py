"""Logs of tasks. The pool's nodes upload them when a task ends: ``RUN/TASK/stdout.txt`` and ``RUN/TASK/stderr.txt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sensorwatch.azure.blobs import translate_blob_errors
from sensorwatch.errors import NotFoundError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

__all__ = ["BlobTaskLogs"]

_MOST_BYTES = 1_048_576


class BlobTaskLogs:
    """Logs of tasks in one blob container (:class:`~sensorwatch.tasks.ports.TaskLogs`).

    Parameters
    ----------
    container
        Client of an existing container.
    """

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def read(self, run_id: str, task_id: str, stream: Literal["stdout", "stderr"]) -> bytes:
        """Return the last MiB of a task's output.

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
        name = f"{run_id}/{task_id}/{stream}.txt"
        try:
            with translate_blob_errors():
                blob = self._container.get_blob_client(name)
                length = blob.get_blob_properties().size
                if not length:
                    return b""
                content: bytes = blob.download_blob(offset=max(0, length - _MOST_BYTES)).readall()
                return content
        except NotFoundError as exc:
            raise NotFoundError(
                f"there is no {stream} of task {task_id} of {run_id}: it has not ended, or there is no such task"
            ) from exc
