"""The current time, as a port that tests replace, and time zones by name."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

__all__ = ["Clock", "parse_zone", "utc_now"]


class Clock(Protocol):
    """The only source of the current time."""

    def __call__(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


def utc_now() -> datetime:
    """Return the time of this machine, aware, in UTC."""
    return datetime.now(UTC)


def parse_zone(name: str) -> tzinfo:
    """Return the time zone with an IANA name.

    Raises
    ------
    ValueError
        There is no such time zone.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"expected the IANA name of a time zone, such as `Europe/Berlin` or `UTC`, got `{name}`"
        ) from None
