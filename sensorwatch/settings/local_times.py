"""Times of day in a time zone: when something that happens daily was due last (pure)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

__all__ = ["newest_due", "parse_times", "parse_zone"]


def parse_times(text: str) -> tuple[time, ...]:
    """Return the times of day in a text like ``06:00 18:00``.

    Raises
    ------
    ValueError
        There is none, or one is not of that form.
    """
    try:
        found = tuple(time.fromisoformat(each) for each in text.split())
    except ValueError:
        found = ()
    if not found or any(each.tzinfo is not None for each in found):
        raise ValueError("expected times of day with blanks between them, like `06:00 18:00`")
    return found


def parse_zone(name: str) -> tzinfo:
    """Return the time zone of an IANA name; raises ValueError where there is none."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("expected the IANA name of a time zone, like Europe/Berlin") from None


def newest_due(now: datetime, times: tuple[time, ...], zone: tzinfo) -> datetime:
    """Return the newest moment (UTC) at or before ``now`` at which it was one of these times of day.

    A time that a day skips, as clocks go forward, is taken an hour later; one that it has twice, the first time.

    Examples
    --------
    >>> newest_due(datetime(2026, 7, 1, 5, 30, tzinfo=UTC), parse_times("08:00 20:00"), parse_zone("Europe/Berlin"))
    datetime.datetime(2026, 6, 30, 18, 0, tzinfo=datetime.timezone.utc)
    """
    today = now.astimezone(zone).date()
    days = (today - timedelta(days=2), today - timedelta(days=1), today)
    moments = [datetime.combine(day, each, zone).astimezone(UTC) for day in days for each in times]
    return max(moment for moment in moments if moment <= now)
