"""Files of a task: finding, describing and reading them, never outside the task's directory."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from local.batch.documents import timestamp
from local.batch.errors import ServiceError, conflict, not_found

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.batch.records import TaskRecord

__all__ = ["byte_range", "file_documents", "file_headers", "find_file", "http_date", "read_part", "require_files"]

_CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def require_files(task: TaskRecord) -> None:
    """Raise a ServiceError when the task has no files: 404 before its first run, 409 after they were deleted."""
    if task.files_kept:
        return
    if task.node_id is None:
        raise not_found("File")
    raise conflict("NodeNotReady")


def find_file(task: TaskRecord, folder: Path, name: str) -> Path:
    """Return the path of a task's file.

    Parameters
    ----------
    task
        The task.
    folder
        Its directory.
    name
        Name of the file, relative to the directory.

    Raises
    ------
    ServiceError
        404: there is no such file, or the name leads out of the directory. 409: the task's files were deleted.
    """
    require_files(task)
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.exists():
        raise not_found("File")
    return path


def byte_range(header: str | None, size: int) -> tuple[int, int]:
    """Return (first byte, number of bytes) of an ``ocp-range`` header; the whole file without one.

    Raises
    ------
    ServiceError
        416: the range can't be parsed or starts after the end of the file.
    """
    if header is None:
        return 0, size
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        raise _bad_range(header, size)
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if start > end:
        raise _bad_range(header, size)
    return start, end - start + 1


def read_part(path: Path, start: int, length: int) -> Iterator[bytes]:
    """Yield a part of a file in chunks.

    Parameters
    ----------
    path
        The file.
    start
        First byte.
    length
        Number of bytes.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        while length > 0 and (chunk := stream.read(min(_CHUNK_BYTES, length))):
            length -= len(chunk)
            yield chunk


def file_headers(path: Path, url: str) -> dict[str, str]:
    """Return the response headers that describe a file."""
    status = path.stat()
    return {
        "Last-Modified": http_date(datetime.fromtimestamp(status.st_mtime, UTC)),
        "ocp-creation-time": http_date(datetime.fromtimestamp(status.st_ctime, UTC)),
        "ocp-batch-file-isdirectory": str(path.is_dir()).lower(),
        "ocp-batch-file-mode": f"0o{status.st_mode & 0o777:o}",
        "ocp-batch-file-url": url,
    }


def file_documents(folder: Path, url: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Return the documents of the files and folders in a task's directory, ordered by name.

    Parameters
    ----------
    folder
        The directory.
    url
        URL of the task's files.
    recursive
        Whether to include the content of its folders.
    """
    paths = sorted(folder.rglob("*") if recursive else folder.glob("*"))
    documents = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        document: dict[str, Any] = {
            "name": name,
            "url": f"{url}/{quote(name, safe='')}",
            "isDirectory": path.is_dir(),
        }
        if not path.is_dir():
            status = path.stat()
            document["properties"] = {
                "contentLength": str(status.st_size),
                "contentType": "application/octet-stream",
                "lastModified": timestamp(datetime.fromtimestamp(status.st_mtime, UTC)),
                "fileMode": f"0o{status.st_mode & 0o777:o}",
            }
        documents.append(document)
    return documents


def http_date(moment: datetime) -> str:
    """Format a time for an HTTP header."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _bad_range(header: str, size: int) -> ServiceError:
    return ServiceError(
        416,
        "InvalidRange",
        "The range specified is invalid for the current size of the resource.",
        ("HeaderValue", header),
        ("FileSize", str(size)),
    )
