"""Times on the command line: one parser, for everything that people and the tool itself write."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.cli.app import app
from sensorwatch.cli.context import utc_text
from sensorwatch.cli.times import parse_moment

_SIX = datetime(2026, 12, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-12-01T06:00:00Z", "2026-12-01T06:00:00", "2026-12-01 06:00:00", "2026-12-01 06:00:00Z"),
        *("2026-12-01T06:00", "2026-12-01T06:00Z", "2026-12-01t06:00:00z", "2026-12-01T06:00:00.000Z"),
        *("2026-12-01T07:00:00+01:00", "2026-12-01T07:00+0100", "2026-12-01T07:00+01", "2026-12-01 07:00 +01:00"),
        *(
            "2026-11-30T22:30:00-07:30",
            "20261201T060000Z",
            " 2026-12-01T06:00:00+00:00 ",
        ),
    ],
)
def test_forms_of_a_time(text: str) -> None:
    assert parse_moment(text) == _SIX
    assert parse_moment(text).tzinfo is UTC


def test_a_day_is_its_midnight_and_fractions_are_kept() -> None:
    assert parse_moment("2026-12-01") == _SIX - timedelta(hours=6)
    assert parse_moment("2026-12-01T06:00:00.25Z") == _SIX + timedelta(milliseconds=250)
    assert parse_moment("2026-12-01T06:00:00.1234567Z") == _SIX + timedelta(microseconds=123_456)


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026", "2026-02-30", "2026-12-01T", "2026-12-01T25:00", "1795774000", "20261201106"),
        *("01.12.2026", "2026-1201", "2026-12-01T06:00Zulu", "2026-12-01T06:00 Europe/Berlin"),
        "0001-01-01T00:00+05:00",
    ],
)
def test_an_invalid_time_is_named_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        parse_moment(text)
    assert f"got `{text}`" in caught.value.message
    assert "`2026-12-01T06:00:00Z`" in caught.value.message


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_times_that_programs_write_come_back(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_moment(aware.isoformat()) == aware
    assert parse_moment(moment.isoformat(" ")) == moment.replace(tzinfo=UTC)


@given(st.integers(-10_000_000_000, 100_000_000_000))
def test_times_that_the_tool_prints_come_back(seconds: int) -> None:
    assert parse_moment(utc_text(seconds)).timestamp() == seconds


def options(group: typer.Typer) -> list[tuple[str, inspect.Parameter]]:
    found = [
        (str(command.callback.__name__), parameter)
        for command in group.registered_commands
        if command.callback is not None
        for parameter in inspect.signature(command.callback, eval_str=True).parameters.values()
    ]
    below = [each.typer_instance for each in group.registered_groups if each.typer_instance]
    return found + [each for inner in below for each in options(inner)]


def test_every_option_that_takes_a_time_has_this_parser() -> None:
    def takes_a_time(annotation: Any) -> bool:
        return datetime in (annotation, *getattr(annotation, "__args__", ()))

    of_times = [
        (command, parameter.name, parameter.annotation.__metadata__[0].parser)
        for command, parameter in options(app)
        if hasattr(parameter.annotation, "__metadata__") and takes_a_time(parameter.annotation.__origin__)
    ]
    assert len(of_times) >= 12
    assert [each for each in of_times if each[2] is not parse_moment] == []
