"""Configurations and their calendars as files: encodings, and what a missing file is called."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Never

import pytest

from sensorwatch.config.file import parse_configuration
from sensorwatch.config.stored import read_configuration
from sensorwatch.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

_CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//a//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Kälte\r\n"
    "DTSTART:20261202T080000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def no_container() -> Never:
    raise AssertionError("a file needs no container")


def read(folder: Path, calendar: bytes | None, mark: bytes = b"") -> str:
    file = folder / "sensorwatch.yaml"
    file.write_bytes(mark + b"maintenance: [{calendar: plan.ics}]")
    if calendar is not None:
        (folder / "plan.ics").write_bytes(calendar)
    configuration = parse_configuration(read_configuration(str(file), no_container, required=True), str(file))
    return configuration.downtimes[0].calendar_text


def test_byte_order_marks_are_dropped(tmp_path: Path) -> None:
    assert read(tmp_path, codecs.BOM_UTF8 + _CALENDAR.encode(), codecs.BOM_UTF8).startswith("BEGIN:VCALENDAR")


@pytest.mark.parametrize(
    ("calendar", "message"),
    [
        (_CALENDAR.encode("latin-1"), "the calendar `plan.ics`: expected text in UTF-8, got the byte 0xe4 in line 6"),
        (_CALENDAR.encode("utf-16"), "the calendar `plan.ics`: expected text in UTF-8, got UTF-16"),
        (None, "expected the calendar `plan.ics` as a file in the same folder"),
    ],
)
def test_mistakes_in_a_calendar_file_are_named(tmp_path: Path, calendar: bytes | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read(tmp_path, calendar)
