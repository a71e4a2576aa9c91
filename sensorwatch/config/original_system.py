"""Configuration files of the Batch AI samples, translated to settings of this system.

Two public samples had a JSON file for the training and prediction scripts, and one for the scheduler:
https://github.com/saidbleik/batchai_mm_ad and https://github.com/Azure/BatchAIAnomalyDetection. Passwords and keys
are not imported: identities replace them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sensorwatch.errors import InvalidInputError
from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["OriginalSystem", "parse_configuration_files"]

_CONTAINERS = {
    "models_blob_container": "MODELS_CONTAINER",
    "blob_container": "MODELS_CONTAINER",
    "predictions_blob_container": "PREDICTIONS_CONTAINER",
}
_SECRETS = ("blob_key", "KEY", "sql_con_string")
_OWN_WAY = {
    "sql_query": "windows are read by shard; the view SensorValues has the old table's columns",
    "command_line": "tasks are `python -m batch_tasks.train` and `python -m batch_tasks.score`",
    "job_name": "runs are named by their kind and window",
    "config_file_path": "tasks get their settings as environment variables",
    "std_out_err_path_prefix": "tasks' logs are in the container task-logs",
    "cluster_name": "BATCH_POOL_ID names the pool",
    "TENANT_ID": "identities stand in for the service principal",
    "CLIENT": "identities stand in for the service principal",
    "subscription_id": "`azd` asks for it",
    "resource_group_name": "`azd` makes one",
    "location": "`azd` asks for it",
}


@dataclass(frozen=True, slots=True)
class OriginalSystem:
    """Contents of the configuration files.

    Attributes
    ----------
    sensors
        Every device with every tag, as the sample's scheduler combined them.
    settings
        Settings of this system with their values.
    data
        ``CONTAINER/NAME`` of the data file that predictions were made from; None without one.
    left_out
        Keys without a counterpart, each with what replaces it.
    """

    sensors: tuple[SensorKey, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    data: str | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


def parse_configuration_files(files: Iterable[tuple[str, bytes]]) -> OriginalSystem:
    """Return the combined contents of configuration files.

    Parameters
    ----------
    files
        Names and contents; either of the two files, or both.

    Raises
    ------
    InvalidInputError
        A file is not a JSON object, none of its keys is known, or two files say different things.
    """
    merged: dict[str, object] = {}
    origin: dict[str, str] = {}
    for name, content in files:
        for key, value in _read(name, content).items():
            if key in merged and merged[key] != value and key not in (*_SECRETS, *_OWN_WAY):
                raise InvalidInputError(
                    f"{name}: {key}: expected `{merged[key]}` as in {origin[key]}, got `{value}`; "
                    "import one system at a time"
                )
            merged[key], origin[key] = value, name
    return OriginalSystem(
        sensors=_sensors(merged),
        settings=_settings(merged),
        data=f"{merged['data_blob_container']}/{merged['data_blob']}" if "data_blob" in merged else None,
        left_out={key: _instead(key) for key in merged if key in _SECRETS or key in _OWN_WAY},
    )


def _read(name: str, content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except ValueError as exc:
        raise InvalidInputError(f"{name}: expected a JSON object, got text that can't be parsed: {exc}") from None
    known = {*_CONTAINERS, *_SECRETS, *_OWN_WAY, "blob_account", "device_ids", "tags", "node_count"}
    if not isinstance(found, dict) or not known & found.keys():
        raise InvalidInputError(
            f"{name}: expected a configuration file of the Batch AI samples, with keys such as device_ids, tags, "
            f"sql_con_string or blob_account"
        )
    return found


def _sensors(merged: Mapping[str, object]) -> tuple[SensorKey, ...]:
    devices, tags = (_names(merged, key) for key in ("device_ids", "tags"))
    return tuple(SensorKey(device, tag) for device in devices for tag in tags)


def _names(merged: Mapping[str, object], key: str) -> list[str]:
    names = merged.get(key, [])
    if not isinstance(names, list) or not all(isinstance(each, (int, str)) and str(each) for each in names):
        raise InvalidInputError(f"{key}: expected a list of integers or texts, got `{names}`")
    return [str(each) for each in names]


def _settings(merged: Mapping[str, object]) -> dict[str, str]:
    settings = {"DETECTOR": "ocsvm"}
    if account := merged.get("blob_account"):
        settings["AzureWebJobsStorage__accountName"] = str(account)
    for key, setting in _CONTAINERS.items():
        if key in merged:
            settings[setting] = str(merged[key])
    if "node_count" in merged:
        settings["MAX_NODES"] = str(merged["node_count"])
    if connection := merged.get("sql_con_string"):
        parts = dict(re.findall(r"(SERVER|DATABASE)=([^;]+)", str(connection), re.IGNORECASE))
        parts = {key.upper(): value for key, value in parts.items()}
        if {"SERVER", "DATABASE"} <= parts.keys():
            server = parts["SERVER"].removeprefix("tcp:").split(",")[0]
            settings["DATABASE_URL"] = (
                f"mssql+pyodbc://@{server}/{parts['DATABASE']}?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes"
                "&Authentication=ActiveDirectoryMsi"
            )
    return settings


def _instead(key: str) -> str:
    return _OWN_WAY.get(key, "a secret, which is not taken: give the app's identity a role instead")
