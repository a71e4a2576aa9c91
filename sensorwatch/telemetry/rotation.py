"""Telemetry files of one machine: each process adds to a file of its own, and the oldest files make room.

``telemetry.jsonl`` names them all. A process writes ``telemetry-1795774542000000000-4711.jsonl``: the time at which the
file was begun, in nanoseconds since 1970, and the process id. So processes need not agree on anything, and one that is
killed leaves at most an incomplete last line behind.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RotatingFile", "read_parts"]

_PARTS = 16
_MOST_PARTS = 2000


class RotatingFile:
    """The file that this process adds to; a full one is followed by another.

    Parameters
    ----------
    path
        The path that all files are named after; a missing folder is made.
    most_bytes
        Limit of all files together, of which at least the newer half is kept. Each further process that writes at the
        same time can exceed it by a sixteenth.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._part: Path | None = None
        self._written = 0
        self._adding = Lock()

    def append(self, content: bytes) -> None:
        """Add whole lines."""
        part_bytes = self._most_bytes // _PARTS
        with self._adding:
            if self._part is None or self._written + len(content) > part_bytes:
                name = f"{self._path.stem}-{time.time_ns()}-{os.getpid()}{self._path.suffix}"
                self._part, self._written = self._path.with_name(name), 0
                self._make_room(max(len(content), part_bytes))
            self._part.parent.mkdir(parents=True, exist_ok=True)
            # Opened each time, as another process may have deleted it.
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(content)
            self._written += len(content)

    def _make_room(self, size: int) -> None:
        total = size
        for newer, (_, part, part_size) in enumerate(reversed(_parts(self._path))):
            total += part_size
            if total > self._most_bytes or newer >= _MOST_PARTS:
                part.unlink(missing_ok=True)


def read_parts(path: Path) -> list[tuple[Path, bytes]]:
    """Return the files named after ``path`` with their content, the one whose last line is oldest first."""
    contents = []
    for _, part, _ in _parts(path):
        with suppress(FileNotFoundError):  # deleted since
            contents.append((part, part.read_bytes()))
    return contents


def _parts(path: Path) -> list[tuple[int, Path, int]]:
    """Return (time of the last change, path, bytes) of each file named after ``path``, in this order."""
    name = re.compile(rf"{re.escape(path.stem)}(-\d{{6,}}-\d+)?{re.escape(path.suffix)}")
    parts = []
    for part in path.parent.glob("*"):
        if name.fullmatch(part.name):
            with suppress(FileNotFoundError):
                status = part.stat()
                parts.append((status.st_mtime_ns, part, status.st_size))
    return sorted(parts)
