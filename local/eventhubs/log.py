"""The log of a partition: an append-only file.

The file starts with a magic number and its base offset. Each event follows as length, CRC-32, sequence number, enqueued
time and body. The offset of an event is the base offset plus the event's position in the file. The base offset comes
from the creation time of the file (milliseconds, shifted left by 20 bits). So the offsets of a log that was deleted and
created again are above all earlier ones, and a checkpoint of the old log starts the new log at its beginning instead of
somewhere inside.
"""

from __future__ import annotations

import logging
import os
import struct
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["LogFormatError", "PartitionLog", "Record"]

_MAGIC = b"SWEHLOG1"
_FILE_HEAD = struct.Struct(">8sQ")
_SUMS = struct.Struct(">II")
_STAMP = struct.Struct(">Qq")
_RECORD_HEAD_BYTES = _SUMS.size + _STAMP.size
_INDEX_EVERY = 128
_SCAN_BYTES = 1 << 20
_BASE_SHIFT = 20
_LOGGER = logging.getLogger(__name__)


class LogFormatError(Exception):
    """A file in the data folder is not a log in this format."""


class Record(NamedTuple):
    """An event of a log.

    ``enqueued_ms`` is in milliseconds since 1970-01-01 UTC. ``position`` is the position of the event in the file,
    ``end`` that of the next event.
    """

    sequence: int
    position: int
    end: int
    enqueued_ms: int
    body: bytes


class PartitionLog:
    """Events in the order of arrival, numbered from 0 without gaps.

    When :meth:`append` returns, its events have been handed to the operating system and survive the end of the process.
    An incomplete event at the end, left by a kill, is removed when the log is opened.

    Parameters
    ----------
    path
        The file; created if missing.
    now_ms
        Current time, in milliseconds since 1970-01-01 UTC. Enqueued times never decrease, even if this clock does.

    Raises
    ------
    LogFormatError
        The file has another format.
    """

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._now_ms = now_ms
        self._index_positions = array("Q")
        self._index_times = array("q")
        self.count = 0
        self.last_position = -1
        self.last_enqueued_ms: int | None = None
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self.base = self._read_or_write_head()
            self.end = _FILE_HEAD.size
            self._recover()
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Close the file; the log can't be used afterwards."""
        os.close(self._fd)

    @property
    def start(self) -> int:
        """Position of the first event, also before there is one."""
        return _FILE_HEAD.size

    def append(self, bodies: Sequence[bytes]) -> None:
        """Append events, all with the same enqueued time, and hand them to the operating system.

        Raises
        ------
        OSError
            The events could not be written; the log is unchanged.
        """
        enqueued_ms = max(self._now_ms(), self.last_enqueued_ms or 0)
        chunk = bytearray()
        positions = []
        sequence = self.count
        for body in bodies:
            positions.append(self.end + len(chunk))
            stamp = _STAMP.pack(sequence, enqueued_ms)
            chunk += _SUMS.pack(len(body), crc32(body, crc32(stamp)))
            chunk += stamp
            chunk += body
            sequence += 1
        self._write(chunk)
        for position in positions:
            self._note(position, enqueued_ms)
        self.end += len(chunk)

    def read(self, position: int, max_events: int, max_bytes: int) -> list[Record]:
        """Read events from a position on, up to a limit.

        Parameters
        ----------
        position
            Position of the first event to read.
        max_events
            Largest number of events.
        max_bytes
            Number of bytes after which no more events are read; at least one event is, if there is one.

        Raises
        ------
        OSError
            The file can't be read.
        """
        if position >= self.end or max_events < 1:
            return []
        data = os.pread(self._fd, min(max_bytes, self.end - position), position)
        records = list(self._parse(data, position, max_events))
        if not records:
            head = os.pread(self._fd, _SUMS.size, position)
            size = _RECORD_HEAD_BYTES + _SUMS.unpack(head)[0]
            records = list(self._parse(os.pread(self._fd, size, position), position, 1))
        return records

    def position_of_sequence(self, sequence: int) -> int:
        """Return the position of the first event with this sequence number or a higher one."""
        if sequence >= self.count:
            return self.end
        slot = max(sequence, 0) // _INDEX_EVERY
        return self._first(self._index_positions[slot], lambda record: record.sequence >= sequence)

    def position_of_offset(self, offset: int, *, inclusive: bool) -> int:
        """Return the position of the first event after an offset, or at it if ``inclusive``."""
        slot = bisect_right(self._index_positions, max(offset - self.base, 0)) - 1
        if slot < 0:
            return self.start
        lowest = offset - self.base + (0 if inclusive else 1)
        return self._first(self._index_positions[slot], lambda record: record.position >= lowest)

    def position_of_time(self, enqueued_ms: int, *, inclusive: bool) -> int:
        """Return the position of the first event enqueued after a time, or at it if ``inclusive``."""
        lowest = enqueued_ms if inclusive else enqueued_ms + 1
        slot = bisect_right(self._index_times, lowest - 1) - 1
        if slot < 0:
            return self.start
        return self._first(self._index_positions[slot], lambda record: record.enqueued_ms >= lowest)

    def _first(self, position: int, wanted: Callable[[Record], bool]) -> int:
        while records := self.read(position, _INDEX_EVERY, _SCAN_BYTES):
            for record in records:
                if wanted(record):
                    return record.position
            position = records[-1].end
        return position

    def _parse(self, data: bytes, position: int, max_events: int) -> Iterator[Record]:
        at = 0
        for _ in range(max_events):
            if at + _RECORD_HEAD_BYTES > len(data):
                return
            size, _ = _SUMS.unpack_from(data, at)
            sequence, enqueued_ms = _STAMP.unpack_from(data, at + _SUMS.size)
            end = at + _RECORD_HEAD_BYTES + size
            if end > len(data):
                return
            yield Record(sequence, position + at, position + end, enqueued_ms, data[at + _RECORD_HEAD_BYTES : end])
            at = end

    def _note(self, position: int, enqueued_ms: int) -> None:
        if self.count % _INDEX_EVERY == 0:
            self._index_positions.append(position)
            self._index_times.append(enqueued_ms)
        self.count += 1
        self.last_position = position
        self.last_enqueued_ms = enqueued_ms

    def _write(self, chunk: bytearray) -> None:
        try:
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, self.end)
            raise

    def _read_or_write_head(self) -> int:
        head = os.pread(self._fd, _FILE_HEAD.size, 0)
        if len(head) < _FILE_HEAD.size and _MAGIC.startswith(head[: len(_MAGIC)]):
            base = self._now_ms() << _BASE_SHIFT
            os.ftruncate(self._fd, 0)
            os.write(self._fd, _FILE_HEAD.pack(_MAGIC, base))
            return base
        if not head.startswith(_MAGIC):
            raise LogFormatError(f"{self._path} is not an event log: it begins with {head[:8]!r}, expected {_MAGIC!r}")
        return int(_FILE_HEAD.unpack(head)[1])

    def _recover(self) -> None:
        size = os.fstat(self._fd).st_size
        while self.end < size and self._recover_chunk(size):
            pass
        if self.end < size:
            _LOGGER.warning(
                "%s: removed the last %d bytes, an event that a kill left incomplete; the last complete event is %d",
                self._path,
                size - self.end,
                self.count - 1,
            )
            os.ftruncate(self._fd, self.end)

    def _recover_chunk(self, size: int) -> bool:
        """Read the complete and undamaged events of a chunk; return false if there is none."""
        wanted = _SCAN_BYTES
        data = os.pread(self._fd, wanted, self.end)
        if len(data) >= _SUMS.size:
            wanted = _RECORD_HEAD_BYTES + _SUMS.unpack_from(data)[0]
            if len(data) < wanted <= size - self.end:
                data = os.pread(self._fd, wanted, self.end)
        found = False
        at = 0
        position = self.end
        while at + _RECORD_HEAD_BYTES <= len(data):
            length, checksum = _SUMS.unpack_from(data, at)
            stamped = at + _SUMS.size
            end = at + _RECORD_HEAD_BYTES + length
            if end > len(data):
                break
            sequence, enqueued_ms = _STAMP.unpack_from(data, stamped)
            if sequence != self.count or crc32(memoryview(data)[stamped:end]) != checksum:
                return False
            self._note(position + at, enqueued_ms)
            self.end = position + end
            at = end
            found = True
        return found
