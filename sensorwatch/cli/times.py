"""Times on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import typer

__all__ = ["parse_moment"]

# `fromisoformat` accepts any character between date and time, even a digit.
_FORM = re.compile(r"\d{4}(-?)\d\d\1\d\d(?:[T ].+)?", re.ASCII | re.DOTALL)
_SPACE_BEFORE_OFFSET = re.compile(r"(?<=\d) +(?=(?:Z|[+-]\d[\d:]*)$)", re.ASCII)


def parse_moment(text: str | datetime) -> datetime:
    """Return a time in ISO 8601, in UTC.

    Seconds and their fraction may be left out, and so may the time of day: it is midnight then. ``Z`` or an offset may
    follow; without one the time is in UTC. All times that the commands print have this form. Fractions are truncated
    to microseconds.

    Parameters
    ----------
    text
        The text; an option's default value is a time already.

    Raises
    ------
    typer.BadParameter
        The text does not have this form, or there is no such time.

    Examples
    --------
    >>> parse_moment("2026-12-02T06:00+01:00")
    datetime.datetime(2026, 12, 2, 5, 0, tzinfo=datetime.timezone.utc)
    """
    if isinstance(text, datetime):
        return text
    tidy = _SPACE_BEFORE_OFFSET.sub("", text.strip().upper())
    try:
        moment = datetime.fromisoformat(tidy if _FORM.fullmatch(tidy) else "")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"expected a time like `2026-12-01T06:00:00Z`, `2026-12-01T07:00+01:00` or `2026-12-01`, got `{text}`"
        ) from None
