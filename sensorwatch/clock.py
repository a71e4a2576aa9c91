"""The current time, as a port that tests replace, and time zones by name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

__all__ = ["Clock", "parse_time_text", "parse_zone", "utc_now"]

# `fromisoformat` accepts any character between date and time, even a digit.
_FORM = re.compile(r"\d{4}(-?)\d\d\1\d\d(?:[T ].+)?", re.ASCII | re.DOTALL)
_SPACE_BEFORE_OFFSET = re.compile(r"(?<=\d) +(?=(?:Z|[+-]\d[\d:]*)$)", re.ASCII)


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


def parse_time_text(text: str) -> datetime:
    """Return a time in ISO 8601 that a person or a program wrote, in UTC.

    Seconds and their fraction may be left out, and so may the time of day: it is midnight then. ``Z`` or an offset may
    follow; without one the time is in UTC. All times that commands print have this form. Fractions are truncated to
    microseconds.

    Raises
    ------
    ValueError
        The text does not have this form, or there is no such time.

    Examples
    --------
    >>> parse_time_text("2026-12-02T06:00+01:00")
    datetime.datetime(2026, 12, 2, 5, 0, tzinfo=datetime.timezone.utc)
    """
    tidy = _SPACE_BEFORE_OFFSET.sub("", text.strip().upper())
    try:
        moment = datetime.fromisoformat(tidy if _FORM.fullmatch(tidy) else "")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"expected a time like `2026-12-01T06:00:00Z`, `2026-12-01T07:00+01:00` or `2026-12-01`, got `{text}`"
        ) from None
