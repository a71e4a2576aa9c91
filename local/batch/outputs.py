"""Upload of a task's output files to blob containers."""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings, ExponentialRetry

from local.batch.records import Failure
from sensorwatch.azure.blobs import blob_service
from sensorwatch.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from local.batch.records import OutputContainer, OutputFile

__all__ = ["matching_files", "upload"]

_log = logging.getLogger(__name__)

_RETRIES = 3
_CONNECT_TIMEOUT_SECONDS = 5
_HEADERS = {
    "cache-control": "cache_control",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
    "content-type": "content_type",
}


def upload(files: Sequence[OutputFile], task_folder: Path, storage: str | None) -> Failure | None:
    """Upload output files; a file that fails does not stop the others. Blocking.

    Parameters
    ----------
    files
        Output files of the task, already filtered by upload condition.
    task_folder
        The task's directory, which holds ``wd``, ``stdout.txt`` and ``stderr.txt``.
    storage
        Connection string for containers whose URL has no signature.

    Returns
    -------
    Failure or None
        The first failure, with its code of Azure Batch.
    """
    failure = None
    for output in files:
        target = output.destination.container
        try:
            container = _container(target, storage)
            for path, name in matching_files(output.file_pattern, task_folder, target.path or ""):
                with path.open("rb") as stream:
                    container.upload_blob(name, stream, overwrite=True, content_settings=_content_settings(target))
        except (AzureError, OSError, SettingsError, ValueError) as exc:
            _log.warning("output files `%s` of %s were not uploaded: %s", output.file_pattern, task_folder.name, exc)
            failure = failure or _failure(exc)
    return failure


def matching_files(pattern: str, task_folder: Path, destination: str) -> Iterator[tuple[Path, str]]:
    """Yield (file, blob name) for a pattern relative to the task's working directory.

    Parameters
    ----------
    pattern
        Path with or without wildcards (``*``, ``?``, ``[``).
    task_folder
        The task's directory.
    destination
        Without wildcards the blob's name; empty: the file's name. With wildcards the folder of the blobs; files keep
        their path relative to the part of the pattern before the first wildcard.

    Raises
    ------
    ValueError
        The pattern leaves the task's directory.
    """
    parts = PurePosixPath(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if _has_wildcard(part)), len(parts))
    start = task_folder.joinpath("wd", *parts[:fixed]).resolve()
    if not start.is_relative_to(task_folder.resolve()):
        raise ValueError(f"output file pattern `{pattern}` leaves the task's directory")
    if fixed == len(parts):
        if start.is_file():
            yield start, destination or start.name
        return
    for path in sorted(start.glob("/".join(parts[fixed:]))):
        if path.is_file() and path.resolve().is_relative_to(task_folder.resolve()):
            yield path, str(PurePosixPath(destination, path.relative_to(start).as_posix()))


def _has_wildcard(part: str) -> bool:
    return any(character in part for character in "*?[")


def _container(target: OutputContainer, storage: str | None) -> ContainerClient:
    signed = "sig" in parse_qs(urlsplit(target.container_url).query)
    credential = None if signed or storage is None else blob_service(storage, None).credential
    return ContainerClient.from_container_url(
        target.container_url,
        credential=credential,
        retry_policy=ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=_RETRIES),
        connection_timeout=_CONNECT_TIMEOUT_SECONDS,
    )


def _content_settings(target: OutputContainer) -> ContentSettings:
    settings = ContentSettings(content_type="text/plain; charset=utf-8")
    for header in target.upload_headers:
        if header.name.lower() in _HEADERS:
            setattr(settings, _HEADERS[header.name.lower()], header.value)
    return settings


def _failure(exc: Exception) -> Failure:
    if isinstance(exc, ResourceNotFoundError):
        return Failure(
            "FileUploadContainerNotFound",
            "One of the specified Azure container(s) was not found while attempting to upload an output file",
        )
    if isinstance(exc, HttpResponseError) and exc.status_code in (401, 403):
        return Failure("FileUploadAccessDenied", "Access was denied while attempting to upload an output file")
    return Failure(
        "FileUploadMiscError",
        "A miscellaneous error was encountered while attempting to upload an output file",
        (("Reason", str(exc).splitlines()[0] if str(exc) else type(exc).__name__),),
    )
