"""Calendars as calendar programs write them: byte order marks, time zones by many names, and zones of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from sensorwatch.errors import SettingsError
from sensorwatch.sensors.calendars import calendar_events

_BERLIN = ZoneInfo("Europe/Berlin")
_DAY = int(datetime(2026, 12, 2, tzinfo=UTC).timestamp())


def zone(name: str, offset: str) -> tuple[str, ...]:
    return (
        *("BEGIN:VTIMEZONE", f"TZID:{name}", "BEGIN:STANDARD", "DTSTART:16010101T000000"),
        *(f"TZOFFSETFROM:{offset}", f"TZOFFSETTO:{offset}", "END:STANDARD", "END:VTIMEZONE"),
    )


def calendar(*lines: str, zones: tuple[str, ...] = (), newline: str = "\r\n") -> str:
    return newline.join(
        (
            *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *zones, "BEGIN:VEVENT", "UID:1"),
            *("SUMMARY:Cleaning", *lines, "END:VEVENT", "END:VCALENDAR", ""),
        )
    )


def hours(text: str) -> list[tuple[float, float]]:
    """Return starts and ends in hours of 2 December 2026, UTC."""
    found = calendar_events(text, _DAY, _DAY + 86_400, _BERLIN)
    return [((event.start - _DAY) / 3600, (event.end - _DAY) / 3600) for event in found]


def from_eight_to_ten(parameter: str, zones: tuple[str, ...] = ()) -> str:
    return calendar(f"DTSTART{parameter}:20261202T080000", f"DTEND{parameter}:20261202T100000", zones=zones)


@pytest.mark.parametrize(
    ("parameter", "start"),
    [
        (';TZID="tzone://Microsoft/Utc"', 8),
        (";TZID=tzone://Microsoft/Utc", 8),
        (";TZID=W. Europe Standard Time", 7),
        (';TZID="Eastern Standard Time"', 13),
        (";TZID=eastern standard time", 13),
        (";TZID=America/New_York", 13),
        (';TZID="America/New_York"', 13),
        (";VALUE=DATE-TIME;TZID=America/New_York", 13),
        (";TZID=/freeassociation.sourceforge.net/America/New_York", 13),
        (";TZID=/America/New_York", 13),
        (";TZID=UTC", 8),
        (";TZID=Etc/UTC", 8),
        ("", 7),
    ],
)
def test_zones_by_the_names_that_calendar_programs_write(parameter: str, start: int) -> None:
    assert hours(from_eight_to_ten(parameter)) == [(start, start + 2)]


@pytest.mark.parametrize("name", ["Customized Time Zone", "tzone://Microsoft/Custom", "Mars/Olympus", ""])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"got `{name}`"):
        hours(from_eight_to_ten(f';TZID="{name}"'))


def test_a_zone_that_the_calendar_defines_counts_for_that_calendar_only() -> None:
    name = "Customized Time Zone"
    own = {offset: from_eight_to_ten(f";TZID={name}", zones=zone(name, offset)) for offset in ("+0300", "-0500")}
    assert [hours(own["+0300"]), hours(own["-0500"])] == [[(5, 7)], [(13, 15)]]
    with pytest.raises(SettingsError, match=name):
        hours(from_eight_to_ten(f";TZID={name}"))


def test_a_definition_does_not_replace_a_zone_that_is_known() -> None:
    for name in ("W. Europe Standard Time", "Europe/Berlin"):
        assert hours(from_eight_to_ten(f";TZID={name}", zones=zone(name, "+0900"))) == [(7, 9)]


def test_names_with_commas_colons_and_folds() -> None:
    defined = zone(r"(UTC+03:00) Here\, there", "+0300")
    assert hours(from_eight_to_ten(';TZID="(UTC+03:00) Here, there"', zones=defined)) == [(5, 7)]
    assert hours(calendar("DTSTART;TZID=America/New", " _York:20261202T080000", "DURATION:PT2H")) == [(13, 15)]


def test_exceptions_and_extra_dates_have_zones_too() -> None:
    daily = ("DTSTART;TZID=tzone://Microsoft/Utc:20261130T080000", "DURATION:PT2H", "RRULE:FREQ=DAILY;COUNT=9")
    assert hours(calendar(*daily, "EXDATE;TZID=tzone://Microsoft/Utc:20261202T080000")) == []
    extra = 'RDATE;TZID="W. Europe Standard Time":20261202T200000'
    assert hours(calendar(*daily, extra)) == [(8, 10), (19, 21)]


def test_text_that_looks_like_a_zone_is_text() -> None:
    assert hours(calendar("DTSTART:20261202T080000Z", "DURATION:PT1H", "DESCRIPTION:a;TZID=Nowhere:b")) == [(8, 9)]


def test_a_byte_order_mark_is_dropped() -> None:
    for newline in ("\r\n", "\n"):
        text = "\ufeff" + calendar("DTSTART:20261202T080000Z", "DURATION:PT1H", newline=newline)
        assert hours(text) == [(8, 9)]
