"""Rules that decide which anomalies alert: over columns, time windows across daylight saving, and downtime."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.alerts.policy import NO_RULE, AlertDefaults, AlertPolicy, NoDataLimits
from sensorwatch.alerts.records import Anomaly
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.config.file import embed_calendars, parse_configuration
from sensorwatch.errors import SettingsError
from sensorwatch.sensors.records import ReportingProfile, SensorKey

DEFAULTS = AlertDefaults(AlertRules(3, 5, 300))
PRESS = SensorKey("press-1", "vibration")
PUMP = SensorKey("pump-1", "pressure")
KEYS = {0: PRESS, 1: PUMP}
NOON = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())  # a Friday


def policy(text: str) -> AlertPolicy:
    configuration = parse_configuration(text, "sensorwatch.yaml")
    return AlertPolicy(DEFAULTS, configuration.alerts, configuration.downtimes)


def ruled(rule: str) -> AlertPolicy:
    return policy(f"alerts: {{rules: [{{name: r, device: 'press-*', {rule}}}]}}")


def anomaly(
    value: float = 12.0,
    severity: str = "medium",
    *,
    sensor_id: int = 0,
    end: int = NOON,
    low: float | None = 0.0,
    high: float | None = 10.0,
) -> Anomaly:
    return Anomaly(sensor_id, end, value, 70.0, severity, low, high, "v1")


def reason(rule: str, *anomalies: Anomaly) -> list[str]:
    return ruled(rule).suppressions(anomalies, KEYS)


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# ---- rules -----------------------------------------------------------------------------------------------------------


def test_without_rules_nothing_is_suppressed() -> None:
    assert policy("").suppressions([anomaly(), anomaly(sensor_id=1)], KEYS) == ["", ""]
    assert policy("").rule_name(PRESS) == NO_RULE


def test_a_direction_holds_back_what_lies_on_the_other_side() -> None:
    above, below, inside = anomaly(12.0), anomaly(-3.0), anomaly(5.0)
    assert reason("direction: above", above, below, inside) == ["", *["r: not above the expected range"] * 2]
    assert [bool(text) for text in reason("direction: below", above, below, inside)] == [True, False, True]
    assert reason("direction: both", above, below, inside) == ["", "", ""]


def test_a_deviation_counts_from_the_expected_range() -> None:
    assert reason("minimum_deviation: 2", anomaly(12.0), anomaly(-2.0), anomaly(11.9)) == [
        "",
        "",
        "r: deviation under 2",
    ]
    relative = reason("minimum_relative_deviation: 0.2", anomaly(12.0), anomaly(11.9), anomaly(-2.0))
    assert relative == ["", "r: deviation under 0.2 of the expected range", ""]


def test_anomalies_without_an_expected_range_are_not_suppressed() -> None:
    unknown = anomaly(low=None, high=None)
    assert reason("direction: above, minimum_deviation: 5, minimum_relative_deviation: 5", unknown) == [""]


def test_a_severity_floor_holds_back_what_is_below_it() -> None:
    severities = ["low", "medium", "high", "critical"]
    found = reason("minimum_severity: high", *(anomaly(severity=severity) for severity in severities))
    assert [bool(text) for text in found] == [True, True, False, False]


def test_the_first_rule_that_matches_decides() -> None:
    text = "alerts: {rules: [{tag: vibration, enabled: false}, {device: '*', minimum_severity: high}]}"
    found = policy(text).suppressions([anomaly(severity="critical"), anomaly(sensor_id=1)], KEYS)
    assert found == ["rule 1: off", "rule 2: severity under high"]


def test_counts_come_from_the_rule_and_else_from_the_settings() -> None:
    assert policy("").rules(PRESS) == DEFAULTS.rules
    assert ruled("anomalous_windows: 7").rules(PRESS) == AlertRules(7, 7, 300)
    assert ruled("recent_windows: 2").rules(PRESS) == AlertRules(2, 2, 300)
    assert ruled("anomalous_windows: 1, recent_windows: 1, quiet_seconds: 0").rules(PRESS) == AlertRules(1, 1, 0)
    assert ruled("anomalous_windows: 7").rules(PUMP) == DEFAULTS.rules


def test_counts_follow_the_usual_interval_and_gap_of_a_sensor() -> None:
    hourly = ReportingProfile(0, 3600, None, 7200)
    assert policy("").rules(PRESS, hourly) == AlertRules(3, 5, 5 * 3600, 5 * 3600)
    on_change = ReportingProfile(0, 60, None, 40_000)
    assert policy("").rules(PRESS, on_change) == AlertRules(3, 5, 300, 40_000)
    # A rule decides when an alert clears; it can't make a slow sensor forget its windows.
    assert ruled("quiet_seconds: 600").rules(PRESS, hourly) == AlertRules(3, 5, 600, 5 * 3600)
    assert policy("").rules(PRESS, ReportingProfile(0, 5, None)) == AlertRules(3, 5, 300, 25)


def test_missing_data_and_flatlines_are_watched_as_the_rule_says() -> None:
    assert policy("").no_data_limits(PRESS) == NoDataLimits(10.0, 300)
    assert ruled("no_data: {intervals: 3}").no_data_limits(PRESS) == NoDataLimits(3.0, 300)
    assert ruled("no_data: {at_least_seconds: 60}").lowest_no_data_limits == NoDataLimits(10.0, 60)
    assert ruled("no_data: false").no_data_limits(PRESS) is None
    assert ruled("enabled: false").no_data_limits(PRESS) is None
    assert policy("").flatline_seconds(PRESS) == 3600
    assert ruled("flatline: {seconds: 60}").flatline_seconds(PRESS) == 60
    assert ruled("flatline: off").flatline_seconds(PRESS) is None


@given(
    st.lists(st.tuples(st.floats(-30, 30), st.sampled_from(["low", "medium", "high", "critical"])), max_size=20),
    st.sampled_from(["above", "below", "both"]),
    st.floats(0, 10),
)
def test_each_window_is_judged_by_itself(windows: list[tuple[float, str]], direction: str, deviation: float) -> None:
    rules = ruled(f"direction: {direction}, minimum_deviation: {deviation}")
    anomalies = [anomaly(value, severity, end=NOON + 5 * i) for i, (value, severity) in enumerate(windows)]
    together = rules.suppressions(anomalies, KEYS)
    assert together == [rules.suppressions([each], KEYS)[0] for each in anomalies]
    for each, text in zip(anomalies, together, strict=True):
        beyond = max(-each.value, each.value - 10.0, 0.0)
        side = {"above": each.value > 10.0, "below": each.value < 0.0, "both": True}[direction]
        assert (text == "") == (side and beyond >= deviation)


# ---- time windows ----------------------------------------------------------------------------------------------------

OFFICE = "times: {time_zone: Europe/Berlin, only: [{days: mon-fri, from: 06:00, to: 22:00}]}"


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-11-20T05:00:00", False),  # 06:00 in Berlin ends the window before
        ("2026-11-20T05:00:05", True),
        ("2026-11-20T21:00:00", True),  # 22:00 ends the last one
        ("2026-11-20T21:00:05", False),
        ("2026-11-21T12:00:00", False),  # a Saturday
        ("2026-07-17T04:00:05", True),  # in summer Berlin is two hours ahead
        ("2026-07-17T03:59:55", False),
        # The weekend of the change: 06:00 on Monday is 05:00 UTC again.
        ("2026-10-23T04:00:05", True),
        ("2026-10-26T04:00:05", False),
        ("2026-10-26T05:00:05", True),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(moment: str, allowed: bool) -> None:
    (found,) = reason(OFFICE, anomaly(end=utc(moment)))
    assert found == ("" if allowed else "r: not at this time")


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-11-20T22:00:05", False),
        ("2026-11-21T00:00:00", False),
        ("2026-11-21T05:59:55", False),
        ("2026-11-21T06:00:05", True),
        ("2026-11-21T23:00:00", True),  # Saturday's night is not among the days
        ("2026-11-20T03:00:00", True),  # Thursday's night isn't either
    ],
)
def test_a_span_past_midnight_belongs_to_the_day_on_which_it_begins(moment: str, allowed: bool) -> None:
    (found,) = reason("times: {never: [{days: fri, from: 22:00, to: 06:00}]}", anomaly(end=utc(moment)))
    assert (found == "") == allowed


def test_whole_days_end_at_midnight() -> None:
    times = "times: {never: [{days: [sat, sun]}]}"
    ends = [utc(f"2026-11-{text}") for text in ("21T00:00:00", "21T00:00:05", "23T00:00:00", "23T00:00:05")]
    assert [bool(text) for text in reason(times, *(anomaly(end=end) for end in ends))] == [False, True, True, False]


def test_an_hour_that_comes_twice_counts_twice() -> None:
    night = "times: {time_zone: Europe/Berlin, never: [{from: 02:00, to: 03:00}]}"
    start = utc("2026-10-25T00:00:00")
    held = [bool(text) for text in reason(night, *(anomaly(end=start + 5 * i) for i in range(1, 1801)))]
    # 03:00 in summer is 02:00 in winter, where the span begins anew.
    assert sum(held) == 2 * 720 - 1


# ---- maintenance -----------------------------------------------------------------------------------------------------

ONCE = (
    "maintenance: [{device: 'press-*', from: 2026-11-20 13:00, to: 2026-11-20 14:00, time_zone: Europe/Berlin, "
    "why: oil}]"
)


def test_windows_that_maintenance_touches_are_suppressed() -> None:
    ends = [NOON, NOON + 5, NOON + 3600, NOON + 3604, NOON + 3605]
    found = policy(ONCE).suppressions([anomaly(end=end) for end in ends], KEYS)
    assert found == ["", *["maintenance: oil"] * 3, ""]
    assert policy(ONCE).suppressions([anomaly(sensor_id=1, end=NOON + 5)], KEYS) == [""]


def test_maintenance_comes_before_rules() -> None:
    both = policy(ONCE + "\nalerts: {rules: [{enabled: false}]}")
    assert both.suppressions([anomaly(end=NOON + 5), anomaly(end=NOON)], KEYS) == ["maintenance: oil", "rule 1: off"]
    assert both.suppressed_now(PRESS, NOON + 5) == "maintenance: oil"


def calendar(*lines: str) -> str:
    return "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT", "END:VCALENDAR"])


def with_calendar(*lines: str) -> AlertPolicy:
    text = b"maintenance: [{calendar: plan.ics, device: 'press-*', time_zone: Europe/Berlin}]"
    return policy(embed_calendars(text, {"plan.ics": calendar(*lines)}.__getitem__).decode())


def test_a_repeated_event_keeps_its_hour_across_daylight_saving() -> None:
    weekly = with_calendar(
        "DTSTART;TZID=Europe/Berlin:20261019T060000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY", "SUMMARY:cleaning"
    )
    moments = ["2026-10-19T04:30:00", "2026-10-26T04:30:00", "2026-10-26T05:30:00"]
    found = weekly.suppressions([anomaly(end=utc(moment)) for moment in moments], KEYS)
    assert found == ["maintenance: cleaning", "", "maintenance: cleaning"]


def test_an_exception_and_a_cancelled_event_do_not_count() -> None:
    times = ("DTSTART:20261119T120000Z", "DURATION:PT1H")
    excepted = with_calendar(*times, "RRULE:FREQ=DAILY", "EXDATE:20261120T120000Z")
    assert excepted.suppressions([anomaly(end=NOON + 60)], KEYS) == [""]
    assert excepted.suppressions([anomaly(end=NOON + 60 + 86_400)], KEYS) == ["maintenance"]
    assert with_calendar(*times, "RRULE:FREQ=DAILY", "STATUS:CANCELLED").suppressions(
        [anomaly(end=NOON + 60)], KEYS
    ) == [""]


def test_a_whole_day_is_one_of_the_entrys_time_zone() -> None:
    day = with_calendar("DTSTART;VALUE=DATE:20261120")
    moments = ["2026-11-19T23:00:00", "2026-11-19T23:00:05", "2026-11-20T23:00:00", "2026-11-20T23:00:05"]
    found = day.suppressions([anomaly(end=utc(moment)) for moment in moments], KEYS)
    assert [bool(text) for text in found] == [False, True, True, False]


def test_a_time_without_a_zone_is_one_of_the_entrys() -> None:
    floating = with_calendar("DTSTART:20261120T130000", "DTEND:20261120T140000")
    assert floating.suppressed_now(PRESS, NOON + 5) == "maintenance"
    assert floating.suppressed_now(PRESS, NOON - 5) == ""


def test_an_invalid_calendar_is_named_with_its_entry() -> None:
    with pytest.raises(SettingsError, match=r"maintenance\.0\.calendar_text: expected an iCalendar text"):
        policy("maintenance: [{calendar_text: nonsense}]")


def test_an_unsupported_rule_of_repetition_is_reported_before_anything_runs() -> None:
    with pytest.raises(SettingsError, match="expected an iCalendar text"):
        with_calendar("DTSTART:20261119T120000Z", "DURATION:PT1H", "RRULE:FREQ=NEVER")


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 100)), max_size=4), st.integers(1, 60))
def test_a_window_is_under_maintenance_if_any_part_of_it_is(periods: list[tuple[int, int]], seconds: int) -> None:
    entries = [
        {
            "from": datetime.fromtimestamp(NOON + start, UTC).isoformat(),
            "to": datetime.fromtimestamp(NOON + start + length, UTC).isoformat(),
        }
        for start, length in periods
    ]
    plan = AlertPolicy(
        AlertDefaults(DEFAULTS.rules, window_seconds=seconds),
        downtimes=parse_configuration(str({"maintenance": entries}), "f").downtimes,
    ).downtime
    ends = np.arange(NOON - 10, NOON + 700, seconds)
    mask = plan.mask([PRESS], np.zeros(len(ends), np.int64), ends)
    for end, found in zip(ends.tolist(), mask.tolist(), strict=True):
        inside = set(range(end - seconds + 1, end + 1))
        touched = any(inside & set(range(NOON + start + 1, NOON + start + length + 1)) for start, length in periods)
        assert found == touched
        assert bool(plan.reason(PRESS, end)) == touched


# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alerts: {rules: [{direction: up}]}", "alerts.rules.0.direction"),
        ("alerts: {rules: [{off: true}]}", "alerts.rules.0"),
        ("alerts: {rules: [{anomalous_windows: 3, recent_windows: 2}]}", "must not exceed `recent_windows` (2)"),
        ("alerts: {rules: [{name: a}, {name: a}]}", "expected distinct names, got `a` twice"),
        ("alerts: {rules: [{times: {only: [{from: 25:00}]}}]}", "expected a time of day"),
        ("alerts: {rules: [{times: {only: [{days: someday}]}}]}", "expected days such as"),
        ("alerts: {rules: [{times: {only: [{days: []}]}}]}", "expected at least one day"),
        ("alerts: {rules: [{times: {time_zone: Mars/Base, only: [{}]}}]}", "expected the IANA name of a time zone"),
        ("alerts: {rules: [{times: {time_zone: UTC}}]}", "expected `only` or `never`"),
        ("maintenance: [{from: 2026-11-20 13:00}]", "expected either `from` and `to`"),
        ("maintenance: [{from: 2026-11-20 13:00, to: 2026-11-20 12:00}]", "expected `to` after `from`"),
        ("maintenance: [{calendar: a.ics, from: 2026-11-20, to: 2026-11-21}]", "expected either `from` and `to`"),
        ("maintenance: [{why: because}]", "expected either `from` and `to`"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_configuration(text, "f.yaml")
    assert message in str(raised.value)


def test_downtime_that_ends_while_a_sensor_is_without_data_is_found() -> None:
    plan = policy(ONCE).downtime
    hour = int(timedelta(hours=1).total_seconds())
    assert plan.last_end(PRESS, NOON - 60, NOON + 2 * hour) == NOON + hour
    assert plan.last_end(PRESS, NOON - 60, NOON + 60) is None
    assert plan.last_end(PUMP, NOON - 60, NOON + 2 * hour) is None
