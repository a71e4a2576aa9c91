"""Detector checkpoints in a blob container: one file per shard and time.

::

    shard=000012/memory-20261120T101500Z.arrow

A file is named by the time of its checkpoints: the end of the last window that they include (UTC). When a task saves
its file, it deletes files that are older than the one it started from. A damaged file is ignored: scoring reads windows
again instead.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from sensorwatch.azure.blobs import translate_blob_errors
from sensorwatch.errors import NotFoundError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

__all__ = ["BlobCheckpoints"]

_FORMAT = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"shard=\d+/memory-(\d{8}T\d{6}Z)\.arrow")

_log = logging.getLogger(__name__)


class BlobCheckpoints:
    """Checkpoint files in one blob container (:class:`~sensorwatch.models.ports.CheckpointFiles`).

    Parameters
    ----------
    container
        Client of the container, which exists.
    """

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def load(self, shard: int, until: datetime) -> tuple[datetime, pa.Table] | None:
        """Return the newest checkpoints up to ``until`` (UTC, inclusive) that can be read, with their time."""
        for time in reversed(self._times(shard)):
            if time <= until:
                name = _name(shard, time)
                try:
                    with translate_blob_errors():
                        content = self._container.download_blob(name).readall()
                    with pa.ipc.open_file(pa.BufferReader(content)) as reader:
                        checkpoints = reader.read_all()
                    checkpoints.validate(full=True)
                except NotFoundError:
                    continue
                except pa.ArrowException as exc:
                    _log.warning(
                        "%s: expected an Arrow IPC file, got: %s; the file is ignored, and scoring reads windows again",
                        name,
                        exc,
                    )
                    continue
                return time, checkpoints
        return None

    def save(self, shard: int, since: datetime, until: datetime, checkpoints: pa.Table) -> None:
        """Store checkpoints, and delete older ones; see :meth:`~sensorwatch.models.ports.CheckpointFiles.save`."""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, checkpoints.schema, options=options) as writer:
            writer.write_table(checkpoints)
        with translate_blob_errors():
            self._container.upload_blob(_name(shard, until), bytes(sink.getvalue()), overwrite=True)
        needed = max((time for time in self._times(shard) if time <= since), default=since)
        for time in self._times(shard):
            if time < needed:
                try:
                    with translate_blob_errors():
                        self._container.delete_blob(_name(shard, time))
                except NotFoundError:
                    continue

    def _times(self, shard: int) -> list[datetime]:
        with translate_blob_errors():
            names = list(self._container.list_blob_names(name_starts_with=f"{_folder(shard)}memory-"))
        found = [match for name in names if (match := _NAME.fullmatch(name))]
        return sorted(datetime.strptime(match[1], _FORMAT).replace(tzinfo=UTC) for match in found)


def _folder(shard: int) -> str:
    return f"shard={shard:06d}/"


def _name(shard: int, until: datetime) -> str:
    return f"{_folder(shard)}memory-{until:{_FORMAT}}.arrow"
