"""A file that many processes add to, and whose oldest part goes when there is too much of it.

When the file is full it is renamed, to a name that no other process chooses: ``telemetry.jsonl`` to
``telemetry-000007-4711.jsonl``, numbered in the order of time, with the process's id. Renaming is all that processes
have to agree on, and so nothing is lost whoever else writes or is killed meanwhile: a process that has the file open
still adds to it under its new name.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, suppress
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RotatingFile", "read_parts"]

_PARTS = 4


class _Part(NamedTuple):
    """A file that was renamed; parts sort by age."""

    number: int
    process: int
    path: Path


class RotatingFile:
    """Content in a file and its former parts, ``most_bytes`` in all.

    At least half of that is always there, once it was written. A single larger piece stays until the next part is full.

    Parameters
    ----------
    path
        The file that is added to; the folder is made where it is missing.
    most_bytes
        Of the file and its parts together.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._part_bytes = most_bytes // _PARTS
        self._kept_bytes = most_bytes - self._part_bytes
        self._adding = Lock()

    def append(self, content: bytes) -> None:
        """Add content with one call to the system, so that pieces of several processes never mix."""
        with self._adding:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = self._open()
            try:
                if 0 < os.fstat(descriptor).st_size > self._part_bytes - len(content):
                    self._rotate(descriptor)
                    full, descriptor = descriptor, self._open()
                    os.close(full)
                os.write(descriptor, content)
            finally:
                os.close(descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _rotate(self, descriptor: int) -> None:
        parts = _parts(self._path)
        number = parts[-1].number + 1 if parts else 1
        name = f"{self._path.stem}-{number:06}-{os.getpid()}{self._path.suffix}"
        try:
            # Another process may have renamed it since. One that does so right now makes a part smaller, and no more.
            if os.path.samestat(self._path.stat(), os.fstat(descriptor)):
                self._path.rename(self._path.with_name(name))
        except FileNotFoundError:
            return
        self._delete_oldest()

    def _delete_oldest(self) -> None:
        total = 0
        for age, part in enumerate(reversed(_parts(self._path))):
            total += _size(part.path)
            if age and total > self._kept_bytes:
                part.path.unlink(missing_ok=True)


def read_parts(path: Path) -> list[tuple[Path, bytes]]:
    """Return the former parts of a file and the file itself with their content, the oldest first.

    There is no gap, and nothing twice, whoever writes meanwhile.

    Raises
    ------
    FileNotFoundError
        There is neither the file nor a part.
    """
    while True:
        with ExitStack() as opened:
            paths = [*(part.path for part in _parts(path)), path]
            files = []
            for each in paths:
                with suppress(FileNotFoundError):
                    files.append((each, opened.enter_context(each.open("rb"))))
            # Renamed meanwhile, files would be missing, there twice or out of order. What is open stays as it is.
            if paths[:-1] == [part.path for part in _parts(path)]:
                if not files:
                    raise FileNotFoundError(path)
                return [(each, file.read()) for each, file in files]


def _parts(path: Path) -> list[_Part]:
    name = re.compile(rf"{re.escape(path.stem)}-(\d{{6,}})-(\d+){re.escape(path.suffix)}")
    matches = [(each, name.fullmatch(each.name)) for each in path.parent.iterdir()]
    return sorted(_Part(int(match[1]), int(match[2]), each) for each, match in matches if match)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
