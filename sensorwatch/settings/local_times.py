"""Times of day in a time zone, and the last moment at which one of them was due."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo

__all__ = ["newest_due", "parse_times"]


def parse_times(text: str) -> tuple[time, ...]:
    """Return the times of day in a text like ``06:00 18:00``.

    Raises
    ------
    ValueError
        A time is invalid, or there is none.
    """
    try:
        found = tuple(time.fromisoformat(each) for each in text.split())
    except ValueError:
        found = ()
    if not found or any(each.tzinfo is not None for each in found):
        raise ValueError("expected times of day, separated by spaces, like `06:00 18:00`")
    return found


def newest_due(now: datetime, times: tuple[time, ...], zone: tzinfo) -> datetime:
    """Return the newest moment (UTC) at or before ``now`` at which one of these times of day was due.

    A time that a day skips when clocks go forward is due an hour later. A time that a day has twice is due at its first
    occurrence.

    Parameters
    ----------
    now
        Current time, with any time zone.
    times
        Local times of day; at least one.
    zone
        Time zone of ``times``.

    Examples
    --------
    >>> from sensorwatch.clock import parse_zone
    >>> newest_due(datetime(2026, 7, 1, 5, 30, tzinfo=UTC), parse_times("08:00 20:00"), parse_zone("Europe/Berlin"))
    datetime.datetime(2026, 6, 30, 18, 0, tzinfo=datetime.timezone.utc)
    """
    today = now.astimezone(zone).date()
    days = (today - timedelta(days=2), today - timedelta(days=1), today)
    moments = [datetime.combine(day, each, zone).astimezone(UTC) for day in days for each in times]
    return max(moment for moment in moments if moment <= now)
