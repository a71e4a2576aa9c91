"""The local stack's settings file, and the ports that it gives the servers.

There is one place for a port: the connection that the product reads from ``local.settings.json``.
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
    """What the stack needs of a settings file: the app's environment, and every server's port on 127.0.0.1."""

    values: Mapping[str, str]
    blob_port: int
    event_hubs_port: int
    batch_port: int
    http_port: int


def write_settings_file(
    path: Path, template: Path, *, values: Mapping[str, str] | None = None, http_port: int | None = None
) -> None:
    """Write a settings file from the template, readable by its owner only; one that exists is left as it is.

    The Batch account's key is drawn anew: who has it can run commands as this user.

    Parameters
    ----------
    values
        Values that replace the template's.
    http_port
        Port of the Functions host, in place of the template's.
    """
    content = json.loads(template.read_text(encoding="utf-8"))
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
    """Read a settings file whose services all run on this machine.

    Raises
    ------
    SettingsError
        The file is missing or wrong, or names a service elsewhere.
    """
    values = read_settings_file(path)
    host = json.loads(path.read_text(encoding="utf-8")).get("Host", {})
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
            f"{setting}: the local stack serves 127.0.0.1 with a port, got {address.netloc or 'no address'!r}; "
            "see local.settings.json.template for the form"
        )
    return address.port
