"""Periods of iCalendar texts (RFC 5545), with recurrences, exceptions, time zones and daylight saving time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.errors import SettingsError
from sensorwatch.sensors.calendar_zones import with_known_zones

if TYPE_CHECKING:
    from datetime import date

__all__ = ["CalendarEvent", "calendar_events"]

_DAY_SECONDS = 86_400
_MARGIN = timedelta(days=2)
"""Margin of the lookup, because the time zones of events are only known afterwards."""


class CalendarEvent(NamedTuple):
    """One occurrence ``(start, end]``, in seconds since 1970-01-01T00:00:00Z, with its summary."""

    start: int
    end: int
    summary: str


def calendar_events(text: str, start: int, end: int, zone: tzinfo) -> list[CalendarEvent]:
    """Return the occurrences that overlap ``(start, end]``, ordered by their start.

    Parameters
    ----------
    text
        An iCalendar text, with or without a byte order mark. Cancelled events are ignored.
    start, end
        Seconds since 1970-01-01T00:00:00Z.
    zone
        Time zone of whole-day events and of times without a zone.

    Raises
    ------
    SettingsError
        It is not an iCalendar text, a rule in it is invalid, or a time zone in it is unknown.

    Examples
    --------
    >>> text = '''BEGIN:VCALENDAR
    ... BEGIN:VEVENT
    ... UID:1
    ... DTSTART:20261120T100000Z
    ... DURATION:PT2H
    ... RRULE:FREQ=WEEKLY
    ... SUMMARY:Cleaning
    ... END:VEVENT
    ... END:VCALENDAR'''
    >>> calendar_events(text, 1_795_774_000, 1_795_860_000, UTC)
    [CalendarEvent(start=1795773600, end=1795780800, summary='Cleaning')]
    """
    first, last = start // _DAY_SECONDS, -(-end // _DAY_SECONDS)
    found = _events_of_days(text, first, max(last, first + 1), zone)
    return [event for event in found if event.start < end and event.end > start]


@lru_cache(maxsize=256)
def _events_of_days(text: str, first: int, last: int, zone: tzinfo) -> tuple[CalendarEvent, ...]:
    import icalendar
    import recurring_ical_events

    from_day, to_day = (datetime.fromtimestamp(day * _DAY_SECONDS, UTC) for day in (first, last))
    try:
        calendar = icalendar.Calendar.from_ical(with_known_zones(text.removeprefix("\ufeff")))
        found = recurring_ical_events.of(calendar).between(from_day - _MARGIN, to_day + _MARGIN)
        events = [
            CalendarEvent(_seconds(event.start, zone), _seconds(event.end, zone), str(event.get("SUMMARY", "")).strip())
            for event in found
            if str(event.get("STATUS", "")).upper() != "CANCELLED"
        ]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as exc:
        raise SettingsError(f"expected an iCalendar text (BEGIN:VCALENDAR …), got: {exc}; export it again") from exc
    return tuple(sorted(event for event in events if event.start < event.end))


def _seconds(moment: date, zone: tzinfo) -> int:
    aware = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return int((aware if aware.tzinfo else aware.replace(tzinfo=zone)).timestamp())
