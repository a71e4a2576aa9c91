"""Section ``maintenance`` of ``sensorwatch.yaml``: planned downtime of sensors."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from sensorwatch.errors import SettingsError
from sensorwatch.sensors.calendars import calendar_events
from sensorwatch.sensors.patterns import Section, SensorPattern

__all__ = ["DAYS", "Maintenance", "TimeSpan", "Times", "zone_named"]


DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


_DAY_MINUTES = 24 * 60


def zone_named(name: str) -> tzinfo:
    """Return the time zone of an IANA name.

    Raises
    ------
    ValueError
        There is none.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"expected the name of a time zone such as `Europe/Berlin` or `UTC`, got `{name}`") from None


class TimeSpan(Section):
    """Hours of some days: ``from < local time of a window's end <= to``.

    ``first_minute`` and ``last_minute`` are minutes since midnight. A span whose end is not after its beginning goes on
    past midnight, and belongs to the day on which it begins.
    """

    days: tuple[int, ...] = tuple(range(len(DAYS)))
    first_minute: int = Field(default=0, alias="from")
    last_minute: int = Field(default=_DAY_MINUTES, alias="to")

    @field_validator("days", mode="before")
    @classmethod
    def _days(cls, value: object) -> tuple[int, ...]:
        parts = value if isinstance(value, list | tuple) else [value]
        days = {day for part in parts for day in _days_of(str(part).strip().lower())}
        if not days:
            raise ValueError("expected at least one day; leave `days` out for every day")
        return tuple(sorted(days))

    @field_validator("first_minute", "last_minute", mode="before")
    @classmethod
    def _minute(cls, value: object) -> int:
        # An hour without quotes, 22:00, is a number to the base of 60 in YAML 1.1: 1320, which are the minutes.
        minute = -1
        if isinstance(value, int) and not isinstance(value, bool):
            minute = value
        elif isinstance(value, str):
            hours, _, minutes = value.partition(":")
            if hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2 and int(minutes) < 60:
                minute = 60 * int(hours) + int(minutes)
        if not 0 <= minute <= _DAY_MINUTES:
            raise ValueError("expected a time of day from `00:00` to `24:00`")
        return minute

    def holds(self, local: datetime) -> bool:
        """Return whether a local time lies in the span."""
        second = 3600 * local.hour + 60 * local.minute + local.second
        first, last = 60 * self.first_minute, 60 * self.last_minute
        # Midnight ends the day before rather than beginning a new one, as a window's end belongs to the window.
        day, second = (local.weekday(), second) if second else (local.weekday() - 1, 86_400)
        if first < last:
            return day % 7 in self.days and first < second <= last
        return (day % 7 in self.days and second > first) or ((day - 1) % 7 in self.days and second <= last)


def _days_of(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise ValueError(f"expected days such as `mon`, `mon-fri` or `[sat, sun]` among {', '.join(DAYS)}")
    begin = DAYS.index(first)
    end = DAYS.index(last) if dash else begin
    return [(begin + i) % 7 for i in range((end - begin) % 7 + 1)]


class Times(Section):
    """When alerts are raised: in one of ``only`` (any time, if that is left out) and in none of ``never``."""

    time_zone: str = "UTC"
    only: tuple[TimeSpan, ...] = ()
    never: tuple[TimeSpan, ...] = ()

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        zone_named(value)
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> Times:
        if not self.only and not self.never:
            raise ValueError("expected `only` or `never` with at least one span")
        return self

    def allow(self, end: int) -> bool:
        """Return whether a window that ends then (seconds since 1970-01-01T00:00:00Z) may raise an alert.

        Examples
        --------
        >>> times = Times(time_zone="Europe/Berlin", only=[{"days": "mon-fri", "from": "06:00", "to": "22:00"}])
        >>> times.allow(int(datetime(2026, 11, 20, 5, 0, 5, tzinfo=UTC).timestamp()))
        True
        >>> times.allow(int(datetime(2026, 11, 21, 5, 0, 5, tzinfo=UTC).timestamp()))
        False
        """
        local = datetime.fromtimestamp(end, zone_named(self.time_zone))
        if self.only and not any(span.holds(local) for span in self.only):
            return False
        return not any(span.holds(local) for span in self.never)


class Maintenance(SensorPattern):
    """Sensors under maintenance: from ``start`` to ``end``, or in the events of an iCalendar text.

    Times without an offset are in ``time_zone``, as are those of the calendar that name no zone themselves.
    """

    start: Annotated[datetime | None, Field(alias="from")] = None
    end: Annotated[datetime | None, Field(alias="to")] = None
    time_zone: str = "UTC"
    why: str = Field(default="", max_length=200)
    calendar: str = Field(default="", max_length=1000)
    calendar_text: str = ""

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        zone_named(value)
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Maintenance:
        kinds = bool(self.start or self.end) + bool(self.calendar) + bool(self.calendar_text)
        if kinds != 1 or (self.start is None) != (self.end is None):
            raise ValueError("expected either `from` and `to`, or `calendar` (a file), or `calendar_text`")
        period = self.period
        if period is not None and period[0] >= period[1]:
            raise ValueError(f"expected `to` after `from`, got {self.start} and {self.end}")
        return self

    @field_validator("calendar_text")
    @classmethod
    def _readable(cls, value: str) -> str:
        if value:
            try:
                calendar_events(value, 0, 1, UTC)
            except SettingsError as exc:
                raise ValueError(str(exc)) from exc
        return value

    @property
    def period(self) -> tuple[datetime, datetime] | None:
        """The period ``(from, to]`` as aware times, None for a calendar."""
        if self.start is None or self.end is None:
            return None
        zone = zone_named(self.time_zone)
        start, end = (time if time.tzinfo else time.replace(tzinfo=zone) for time in (self.start, self.end))
        return start, end
