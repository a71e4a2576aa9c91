"""Reading of settings from an environment or a settings file, with one clear message for each wrong setting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sensorwatch.errors import SettingsError
from sensorwatch.settings.connections import DATABASE_PREFIX_SQLITE
from sensorwatch.settings.model import Settings
from sensorwatch.settings.text_files import decode_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

__all__ = ["load_settings", "read_settings_file"]


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Validate the settings in an environment.

    An empty value counts as missing, as on an app's configuration page.

    Raises
    ------
    SettingsError
        A setting is missing or wrong. The text has a line for each, with its name, the value and what was expected;
        it never contains secrets.

    Examples
    --------
    >>> load_settings({"DATABASE_URL": "sqlite:///:memory:"}).window_seconds
    5
    >>> load_settings({"DATABASE_URL": "sqlite:///:memory:", "WINDOW_SECONDS": "7"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    sensorwatch.errors.SettingsError: WINDOW_SECONDS: must divide 86400 (a day); try 5, 10, 15, 20, 30 or 60; got `7`...
    """
    given: dict[str, Any] = {key: value for key, value in environment.items() if value.strip()}
    try:
        return Settings.model_validate(given)
    except ValidationError as exc:
        raise SettingsError("\n".join(_describe(error) for error in exc.errors(include_url=False))) from None


def _describe(error: ErrorDetails) -> str:
    key = str(error["loc"][0]) if error["loc"] else ""
    meaning = Settings.description_of(key)
    if error["type"] == "missing":
        return f"{key}: missing; set it in the environment or in local.settings.json under Values. Meaning: {meaning}"
    problem = error["msg"].removeprefix("Value error, ")
    if not key:
        return problem
    got = "a value that is not shown because it may be secret" if _is_secret(key) else f"`{error['input']}`"
    return f"{key}: {problem}; got {got}. Meaning: {meaning}"


def _is_secret(key: str) -> bool:
    return any(field.alias == key and "SecretStr" in str(field.annotation) for field in Settings.model_fields.values())


def read_settings_file(path: Path) -> dict[str, str]:
    """Return the ``Values`` of a ``local.settings.json``, as ``func start`` puts them in the environment.

    Relative paths (in a SQLite ``DATABASE_URL``, ``CONFIGURATION_FILE``, ``TELEMETRY_FILE``) are relative to the file's
    own folder. So every process finds the same files, whatever its working directory is.

    Raises
    ------
    SettingsError
        The file is missing, or its content does not have this form.
    """
    try:
        values = json.loads(decode_text(path.read_bytes()))["Values"]
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: no such file; `make setup` creates it from local.settings.json.template, and --settings FILE or "
            "SENSORWATCH_SETTINGS names another one"
        ) from None
    except (ValueError, KeyError, TypeError) as exc:
        raise SettingsError(f"{path}: expected a JSON object with an object `Values`, got: {exc!r}") from None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise SettingsError(f"{path}: expected only strings in `Values`, as the Functions host does")
    url = values.get("DATABASE_URL", "")
    if url.startswith(DATABASE_PREFIX_SQLITE):
        database = url.removeprefix(DATABASE_PREFIX_SQLITE)
        if database and not database.startswith((":", "/")):
            values["DATABASE_URL"] = DATABASE_PREFIX_SQLITE + str(path.resolve().parent / database)
    if telemetry := values.get("TELEMETRY_FILE"):
        values["TELEMETRY_FILE"] = str(path.resolve().parent / telemetry)
    configuration = path.resolve().parent / (values.get("CONFIGURATION_FILE") or "sensorwatch.yaml")
    if values.get("CONFIGURATION_FILE") or configuration.exists():
        values["CONFIGURATION_FILE"] = str(configuration)
    return values
