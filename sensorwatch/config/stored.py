"""Copies of ``sensorwatch.yaml`` for Batch tasks.

A node of the pool has no copy of the app's files, and the file may change while a run waits. The submission of a run
therefore stores the file's content beside the models, under a name derived from it, and passes that name to the tasks::

    configuration/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.yaml
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sensorwatch.azure.blobs import translate_blob_errors
from sensorwatch.config.file import STORED_PREFIX, configuration_name, embed_calendars
from sensorwatch.errors import ConflictError, NotFoundError, SettingsError
from sensorwatch.settings.text_files import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.blob import ContainerClient

__all__ = ["read_configuration", "store_configuration"]


def read_configuration(place: str, container: Callable[[], ContainerClient], *, required: bool) -> bytes:
    """Return the content of a configuration; the texts of calendar files are embedded in that of a file.

    Parameters
    ----------
    place
        The setting ``CONFIGURATION_FILE``: a path, or the name of a stored configuration.
    container
        Returns the container of the models; called for a stored configuration only.
    required
        True: a missing file is an error; False: it counts as an empty one.

    Raises
    ------
    SettingsError
        The file is missing or can't be read, or the stored configuration is gone or damaged.
    """
    if place.startswith(STORED_PREFIX):
        return _read_stored(place, container())
    try:
        content = Path(place).read_bytes()
    except FileNotFoundError:
        if required:
            raise SettingsError(
                f"CONFIGURATION_FILE: expected a file, got `{place}`, which does not exist; correct the path, or "
                "remove the setting"
            ) from None
        return b""
    except OSError as exc:
        raise SettingsError(f"CONFIGURATION_FILE: expected a readable file, got `{place}`: {exc.strerror}") from exc
    return embed_calendars(content, lambda name: _read_calendar(place, name))


def _read_calendar(place: str, name: str) -> str:
    file = Path(place).parent / name
    try:
        return decode_text(file.read_bytes())
    except OSError as exc:
        raise SettingsError(
            f"{place}: maintenance: expected the calendar `{name}` as a file in the same folder, got: {exc}"
        ) from exc
    except ValueError as exc:
        raise SettingsError(f"{place}: maintenance: the calendar `{name}`: {exc}") from None


def store_configuration(container: ContainerClient, content: bytes) -> str:
    """Store a configuration unless it is there already; return its name.

    Raises
    ------
    TransientError, SettingsError
        The storage account can't be reached, or refuses access.
    """
    name = configuration_name(content)
    try:
        with translate_blob_errors():
            container.get_blob_client(_blob_name(name)).upload_blob(content, overwrite=False)
    except ConflictError:
        return name
    return name


def _read_stored(name: str, container: ContainerClient) -> bytes:
    blob = _blob_name(name)
    try:
        with translate_blob_errors():
            content = container.download_blob(blob).readall()
    except NotFoundError as exc:
        raise SettingsError(
            f"CONFIGURATION_FILE: expected a stored configuration, got `{name}`: there is no blob {blob} in the "
            f"container {container.container_name}; submit the run again"
        ) from exc
    actual = configuration_name(content)
    if actual != name:
        raise SettingsError(
            f"CONFIGURATION_FILE: expected {blob} to hold {name}, got {actual}; delete it and submit the run again"
        )
    return content


def _blob_name(name: str) -> str:
    return f"configuration/{name.removeprefix(STORED_PREFIX)}.yaml"
