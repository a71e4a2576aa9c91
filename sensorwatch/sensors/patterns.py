"""Shell-style patterns of device and tag, by which parts of ``sensorwatch.yaml`` select sensors."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from sensorwatch.clock import parse_zone

if TYPE_CHECKING:
    from sensorwatch.sensors.records import SensorKey

__all__ = ["Section", "SensorPattern", "ZoneName", "matches_pattern"]

_Pattern = Annotated[str, Field(min_length=1, max_length=200)]


def _known_zone(name: str) -> str:
    parse_zone(name)
    return name


ZoneName = Annotated[str, AfterValidator(_known_zone)]
"""IANA name of a time zone."""


def matches_pattern(name: str, pattern: str) -> bool:
    """Return whether a name matches a shell-style pattern, or is the same text; case-sensitive.

    Names of PLC arrays hold brackets, so that a name need not match itself as a pattern.

    Examples
    --------
    >>> matches_pattern("x[3]", "x[3]"), matches_pattern("x3", "x[3]"), matches_pattern("x4", "x[3]")
    (True, True, False)
    """
    return name == pattern or fnmatchcase(name, pattern)


class Section(BaseModel):
    """A part of ``sensorwatch.yaml``: immutable, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SensorPattern(Section):
    """Sensors whose device and tag match case-sensitive patterns; a missing pattern matches any name.

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
        # YAML reads names of digits as numbers.
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("device", "tag")
    @classmethod
    def _closed_brackets(cls, value: str) -> str:
        rest = value.replace("[[]", "")
        if rest.count("[") > rest.count("]"):
            raise ValueError("expected a shell-style pattern with `*`, `?` and closed `[…]`; write `[[]` for a bracket")
        return value

    def matches(self, key: SensorKey) -> bool:
        """Return whether the sensor's device and tag match."""
        return matches_pattern(key.device, self.device) and matches_pattern(key.tag, self.tag)
