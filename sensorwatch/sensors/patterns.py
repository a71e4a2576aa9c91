"""Which sensors a part of ``sensorwatch.yaml`` is for: shell-style patterns of device and tag."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:
    from sensorwatch.sensors.records import SensorKey

__all__ = ["Section", "SensorPattern"]

_Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class Section(BaseModel):
    """A part of the file: frozen, and without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SensorPattern(Section):
    """Sensors whose device and tag match both patterns; case-sensitive, any where left out.

    Examples
    --------
    >>> from sensorwatch.sensors.records import SensorKey
    >>> SensorPattern(device="press-*").matches(SensorKey("press-7", "vibration"))
    True
    """

    device: _Pattern = "*"
    tag: _Pattern = "*"

    @field_validator("device", "tag", mode="before")
    @classmethod
    def _number_as_text(cls, value: object) -> object:
        # Names are often numbers, which YAML reads as such.
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("device", "tag")
    @classmethod
    def _closed_brackets(cls, value: str) -> str:
        rest = value.replace("[[]", "")
        if rest.count("[") != rest.count("]"):
            raise ValueError("expected a shell-style pattern with `*`, `?` and closed `[…]`; write `[[]` for a bracket")
        return value

    def matches(self, key: SensorKey) -> bool:
        """Return whether this is for the sensor."""
        return fnmatchcase(key.device, self.device) and fnmatchcase(key.tag, self.tag)
