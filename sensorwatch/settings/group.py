"""Base of the groups of settings, and the types that they share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["DAY_SECONDS", "ContainerName", "DayFraction", "Schedule", "SettingsGroup"]

DAY_SECONDS = 86_400


def _divides_day(seconds: int) -> int:
    if DAY_SECONDS % seconds:
        raise ValueError(f"must divide {DAY_SECONDS} (a day); try 5, 10, 15, 20, 30 or 60")
    return seconds


ContainerName = Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")]
DayFraction = Annotated[int, Field(ge=1, le=DAY_SECONDS), AfterValidator(_divides_day)]
"""A length in seconds of which a day is a multiple."""
Schedule = Annotated[str, Field(pattern=r"^\S+( \S+){5}$")]


class SettingsGroup(BaseModel):
    """Fields that are read from environment variables of the same name in upper case, unless they give an alias.

    Names of validators are unique over all groups: :class:`~sensorwatch.settings.model.Settings` inherits them all.
    """

    model_config = ConfigDict(alias_generator=str.upper, extra="ignore", frozen=True, str_strip_whitespace=True)

    @classmethod
    def description_of(cls, key: str) -> str:
        """Return the sentence of a setting by its environment variable; empty for an unknown one."""
        return next((field.description or "" for field in cls.model_fields.values() if field.alias == key), "")
