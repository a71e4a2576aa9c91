"""Reading the settings from an environment or a settings file, with one clear message for each that is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sensorwatch.errors import SettingsError
from sensorwatch.settings.model import DATABASE_PREFIX_SQLITE, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

__all__ = ["load_settings", "read_settings_file"]


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Validate the settings in an environment.

    Empty values count as missing, as they do in an app's configuration page.

    Raises
    ------
    SettingsError
        One line per wrong setting: key, expected, got, hint. Secrets are never shown.

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
    if error["type"] == "missing":
        what = Settings.description_of(key)
        return f"{key}: missing; {what} Set it in the environment or in local.settings.json under Values."
    problem = error["msg"].removeprefix("Value error, ")
    if not key:
        return problem
    got = "a value that is not shown, as it may hold a secret" if _is_secret(key) else f"`{error['input']}`"
    return f"{key}: {problem}; got {got}. It is: {Settings.description_of(key)}"


def _is_secret(key: str) -> bool:
    return any(field.alias == key and "SecretStr" in str(field.annotation) for field in Settings.model_fields.values())


def read_settings_file(path: Path) -> dict[str, str]:
    """Return the ``Values`` of a ``local.settings.json``, as ``func start`` would put them in the environment.

    Relative paths (in a SQLite ``DATABASE_URL``, ``CONFIGURATION_FILE``, ``TELEMETRY_FILE``) are taken from the file's
    own folder, so that every process finds the same files wherever it was started.

    Raises
    ------
    SettingsError
        The file is missing or is not of that form.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))["Values"]
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; `make setup` writes it from local.settings.json.template") from None
    except (ValueError, KeyError, TypeError) as exc:
        raise SettingsError(f"{path}: expected a JSON object with an object `Values`, got: {exc!r}") from None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise SettingsError(f"{path}: expected `Values` to hold texts only, as the Functions host does")
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
