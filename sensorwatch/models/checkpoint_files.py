"""What models remember between scorings, in a blob container: one file per shard and time.

::

    shard=000012/memory-20261120T101500Z.arrow

A file is named by the end of the windows that it goes up to (UTC). Those older than what a task began with are deleted
when it leaves its own. A file that is damaged counts for nothing: scoring makes up for it.
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

__all__ = ["BlobMemories"]

_FORMAT = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"shard=\d+/memory-(\d{8}T\d{6}Z)\.arrow")

_log = logging.getLogger(__name__)


class BlobMemories:
    """The memories in one blob container (:class:`~sensorwatch.models.ports.Memories`).

    Parameters
    ----------
    container
        A client of the container, which exists.
    """

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    def load(self, shard: int, until: datetime) -> tuple[datetime, pa.Table] | None:
        """Return the newest memories that go no further than ``until`` (inclusive), with how far they go."""
        for time in reversed(self._times(shard)):
            if time <= until:
                name = _name(shard, time)
                try:
                    with translate_blob_errors():
                        content = self._container.download_blob(name).readall()
                    with pa.ipc.open_file(pa.BufferReader(content)) as reader:
                        memories = reader.read_all()
                    memories.validate(full=True)
                except NotFoundError:
                    continue
                except pa.ArrowException as exc:
                    _log.warning("%s: expected an Arrow IPC file, got: %s; scoring makes up for it", name, exc)
                    continue
                return time, memories
        return None

    def save(self, shard: int, since: datetime, until: datetime, memories: pa.Table) -> None:
        """Keep memories that go up to ``until``; drop those that are older than what goes up to ``since``."""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(sink, memories.schema, options=options) as writer:
            writer.write_table(memories)
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
