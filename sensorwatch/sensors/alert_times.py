"""Hours and days in which alerts are raised: the key ``times`` of a rule in ``sensorwatch.yaml``."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, field_validator, model_validator

from sensorwatch.clock import parse_zone
from sensorwatch.sensors.patterns import Section, ZoneName

__all__ = ["TimeSpan", "Times"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60


class TimeSpan(Section):
    """Hours of some days: ``from < local time of a window's end <= to``.

    ``first_minute`` and ``last_minute`` are minutes since midnight. A span whose end is not after its start crosses
    midnight and belongs to the day on which it starts.
    """

    days: tuple[int, ...] = tuple(range(len(_DAYS)))
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
        # YAML 1.1 reads 22:00 without quotes as a number to base 60: 1320, which is the minute of the day.
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
        """Return whether a local time is in the span."""
        second = 3600 * local.hour + 60 * local.minute + local.second
        first, last = 60 * self.first_minute, 60 * self.last_minute
        # A window's end belongs to the window, so midnight is the end of the day before, not the start of a new day.
        day, second = (local.weekday(), second) if second else (local.weekday() - 1, 86_400)
        if first < last:
            return day % 7 in self.days and first < second <= last
        return (day % 7 in self.days and second > first) or ((day - 1) % 7 in self.days and second <= last)


def _days_of(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    if first not in _DAYS or (dash and last not in _DAYS):
        raise ValueError(f"expected days such as `mon`, `mon-fri` or `[sat, sun]` among {', '.join(_DAYS)}")
    begin = _DAYS.index(first)
    end = _DAYS.index(last) if dash else begin
    return [(begin + i) % 7 for i in range((end - begin) % 7 + 1)]


class Times(Section):
    """Times at which alerts are raised: inside one of ``only`` (default: always) and outside all of ``never``."""

    time_zone: ZoneName = "UTC"
    only: tuple[TimeSpan, ...] = ()
    never: tuple[TimeSpan, ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> Times:
        if not self.only and not self.never:
            raise ValueError("expected `only` or `never` with at least one span")
        return self

    def allow(self, end: int) -> bool:
        """Return whether a window that ends at ``end`` (seconds since 1970-01-01T00:00:00Z) may raise an alert.

        Examples
        --------
        >>> from datetime import UTC
        >>> times = Times(time_zone="Europe/Berlin", only=[{"days": "mon-fri", "from": "06:00", "to": "22:00"}])
        >>> times.allow(int(datetime(2026, 11, 20, 5, 0, 5, tzinfo=UTC).timestamp()))
        True
        >>> times.allow(int(datetime(2026, 11, 21, 5, 0, 5, tzinfo=UTC).timestamp()))
        False
        """
        local = datetime.fromtimestamp(end, parse_zone(self.time_zone))
        if self.only and not any(span.holds(local) for span in self.only):
            return False
        return not any(span.holds(local) for span in self.never)
