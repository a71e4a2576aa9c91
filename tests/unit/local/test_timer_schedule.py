"""NCRONTAB schedules, and what a timer does about runs that it missed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.functions_host.timer import TimerStatus, shortest_interval, status_at_start
from sensorwatch.errors import InvalidInputError
from sensorwatch.scheduling.cron import Schedule

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("0 */5 * * * *", "2026-11-21T10:05:00", "2026-11-21T10:10:00"),
        ("*/30 * * * * *", "2026-11-21T10:05:00.999", "2026-11-21T10:05:30"),
        ("0 0 1 * * *", "2026-11-21T01:00:00", "2026-11-22T01:00:00"),
        ("0 30 9-17 * * mon-fri", "2026-11-20T17:30:00", "2026-11-23T09:30:00"),
        ("30 * * * *", "2026-11-21T10:31:00", "2026-11-21T11:30:00"),
        ("0 0 0 29 2 *", "2026-11-21T00:00:00", "2028-02-29T00:00:00"),
        ("15,45 0 0 1 Jan *", "2026-11-21T00:00:00", "2027-01-01T00:00:15"),
    ],
)
def test_schedule_gives_the_first_due_time_after_a_time(expression: str, after: str, due: str) -> None:
    assert Schedule(expression).after(at(after)) == at(due)


def test_day_and_weekday_must_both_match() -> None:
    # Friday the 13th, where cron would take every Friday and every 13th.
    assert Schedule("0 0 0 13 * 5").after(NOON) == at("2027-08-13T00:00:00")


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "0 61 * * * *",
        "@daily",
        "0 0 0 L * *",
        "0 0 0 * * 5#2",
        "0 0 R * * *",
        "00:05:00",
        "0 0 0 * Foo *",
    ],
)
def test_other_expressions_are_refused_by_name(expression: str) -> None:
    with pytest.raises(InvalidInputError, match=f"got `{re.escape(expression)}`"):
        Schedule(expression)


def test_schedule_gives_the_last_due_time_before_a_time() -> None:
    assert Schedule("0 */5 * * * *").before(at("2026-11-21T10:05:00")) == at("2026-11-21T10:00:00")
    assert Schedule("30 9 * * mon-fri").before(NOON) == at("2026-11-20T09:30:00")


def test_a_schedule_that_is_never_due_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="never due"):
        Schedule("0 0 0 30 2 *")


numbers = st.integers(0, 59)
steps = st.integers(2, 59)


@given(second=numbers, minute_step=steps, hour=st.integers(0, 23), start=st.integers(0, 3 * 86_400))
def test_due_time_is_the_first_that_every_field_allows(second: int, minute_step: int, hour: int, start: int) -> None:
    begin = NOON + timedelta(seconds=start)
    due = Schedule(f"{second} */{minute_step} {hour} * * *").after(begin)
    minutes = range(0, 60, minute_step)
    candidates = [
        (begin + timedelta(days=days)).replace(hour=hour, minute=minute, second=second)
        for days in (0, 1)
        for minute in minutes
    ]
    assert due == min(time for time in candidates if time > begin)


@given(start=st.integers(0, 10**7), fraction=st.integers(0, 999_999))
def test_due_times_are_whole_seconds_later_than_the_start(start: int, fraction: int) -> None:
    begin = NOON + timedelta(seconds=start, microseconds=fraction)
    due = Schedule("*/7 * * * * *").after(begin)
    assert due > begin.replace(microsecond=0)
    assert due.microsecond == 0


def test_shortest_interval_sees_uneven_schedules() -> None:
    assert shortest_interval(Schedule("0 0,5 * * * *"), NOON) == timedelta(minutes=5)


HOURLY = Schedule("0 0 * * * *")


def test_a_timer_that_never_ran_has_missed_nothing() -> None:
    status, missed = status_at_start(None, HOURLY, NOON)
    assert missed is None
    assert status == TimerStatus(None, at("2026-11-21T13:00:00"), NOON)


def test_several_missed_runs_are_one() -> None:
    stored = TimerStatus(at("2026-11-21T07:00:00"), at("2026-11-21T08:00:00"), at("2026-11-21T07:00:01"))
    assert status_at_start(stored, HOURLY, NOON) == (stored, at("2026-11-21T08:00:00"))


def test_a_run_missed_before_the_first_one_counts_too() -> None:
    stored = TimerStatus(None, at("2026-11-21T11:00:00"), at("2026-11-21T10:30:00"))
    assert status_at_start(stored, HOURLY, NOON) == (stored, at("2026-11-21T11:00:00"))


def test_a_timer_that_is_up_to_date_goes_on() -> None:
    stored = TimerStatus(at("2026-11-21T12:00:00"), at("2026-11-21T13:00:00"), at("2026-11-21T12:00:01"))
    assert status_at_start(stored, HOURLY, NOON) == (stored, None)


def test_a_changed_schedule_has_missed_nothing() -> None:
    stored = TimerStatus(at("2026-11-20T00:00:00"), at("2026-11-20T00:05:00"), at("2026-11-20T00:00:01"))
    status, missed = status_at_start(stored, HOURLY, NOON)
    assert missed is None
    assert status.next == at("2026-11-21T13:00:00")


@pytest.mark.parametrize("last", [None, at("2026-11-21T11:00:00.123456")])
def test_status_survives_being_stored(last: datetime | None) -> None:
    status = TimerStatus(last, at("2026-11-21T12:00:00"), NOON)
    assert TimerStatus.from_json(status.to_json()) == status
