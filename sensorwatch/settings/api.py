"""Settings of the HTTP API: who may use it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sensorwatch.settings.group import SettingsGroup

__all__ = ["ApiSettings"]


class ApiSettings(SettingsGroup):
    """Access to the HTTP API."""

    api_authentication: Literal["key", "entra", "local"] = Field(
        "key",
        description="Authentication of requests: by function key (`key`), by App Service sign-in (`entra`), or none, "
        "from this machine only (`local`).",
    )
    api_key_role: Literal["read", "operator"] = Field("read", description="Role of requests with a function key.")
    api_read_role: str = Field("Sensorwatch.Read", description="App role in Entra that allows reading.")
    api_operator_role: str = Field(
        "Sensorwatch.Operator", description="App role in Entra that allows reading and acting."
    )
