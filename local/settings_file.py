"""Settings file of the local stack, with the servers' ports.

A port is defined in one place only: the connection in ``local.settings.json`` that the product reads.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sensorwatch.errors import SettingsError
from sensorwatch.settings import read_settings_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["LocalSettings", "read_local_settings", "write_settings_file"]

_AZURITE_BLOB_PORT = 10_000
_BATCH_KEY_BYTES = 64


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The app's environment, and the port of each server on 127.0.0.1."""

    values: Mapping[str, str]
    blob_port: int
    event_hubs_port: int
    batch_port: int
    http_port: int


def write_settings_file(
    path: Path, template: Path, *, values: Mapping[str, str] | None = None, http_port: int | None = None
) -> None:
    """Write a settings file, readable by its owner only, unless it exists.

    The Batch account's key is random and secret: its owner can run commands as this user.

    Parameters
    ----------
    path
        The settings file.
    template
        Template of the settings file.
    values
        Values that replace the template's.
    http_port
        Port of the Functions host; None: the template's.
    """
    content = json.loads(template.read_text(encoding="utf-8-sig"))
    content["Values"]["BATCH_ACCOUNT_KEY"] = base64.b64encode(secrets.token_bytes(_BATCH_KEY_BYTES)).decode()
    content["Values"].update(values or {})
    if http_port is not None:
        content["Host"]["LocalHttpPort"] = http_port
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")


def read_local_settings(path: Path) -> LocalSettings:
    """Read a settings file in which all services are on this machine.

    Raises
    ------
    SettingsError
        The file is missing or invalid, or names a service on another machine.
    """
    values = read_settings_file(path)
    host = json.loads(path.read_text(encoding="utf-8-sig")).get("Host", {})
    return LocalSettings(
        values=values,
        blob_port=_blob_port(values),
        event_hubs_port=_port("EventHub", _part(values.get("EventHub", ""), "Endpoint")),
        batch_port=_port("BATCH_ACCOUNT_URL", values.get("BATCH_ACCOUNT_URL", "")),
        http_port=int(host.get("LocalHttpPort", 7071)),
    )


def _blob_port(values: Mapping[str, str]) -> int:
    connection = values.get("AzureWebJobsStorage", "")
    if _part(connection, "UseDevelopmentStorage").lower() == "true":
        return _AZURITE_BLOB_PORT
    return _port("AzureWebJobsStorage", _part(connection, "BlobEndpoint"))


def _part(connection: str, name: str) -> str:
    parts = (part.partition("=") for part in connection.split(";"))
    return next((value for key, _, value in parts if key.strip().lower() == name.lower()), "")


def _port(setting: str, url: str) -> int:
    address = urlsplit(url)
    if address.hostname not in {"127.0.0.1", "localhost"} or address.port is None:
        raise SettingsError(
            f"{setting}: the local stack needs an address on 127.0.0.1 with a port, "
            f"got {address.netloc or 'no address'!r}; local.settings.json.template has an example"
        )
    return address.port
