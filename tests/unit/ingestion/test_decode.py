from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from event_bodies import body_of, golden_cases, mutated_bodies
from every_case import check_every
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ReadingRules, decode, element_at, parse_time, ticks_of
from sensorwatch.ingestion.records import Reading, Rejected

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = ticks_of(datetime(2026, 11, 20, 10, tzinfo=UTC))
RULES = ReadingRules()
REASONS = {
    "empty",
    "too-large",
    "not-utf8",
    "not-json",
    "not-object",
    "missing-field",
    "wrong-type",
    "bad-name",
    "too-long",
    "bad-time",
    "not-finite",
    "out-of-range",
    "ancient",
    "far-future",
}


def as_expected(element: Reading | Rejected) -> dict[str, Any]:
    if isinstance(element, Rejected):
        return {"reason": element.reason}
    seconds, fraction = divmod(element.ticks, TICKS_PER_SECOND)
    time = f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{fraction:07}Z"
    return {"device": element.device, "tag": element.tag, "time": time, "value": element.value}


def test_golden_payloads_are_decoded_as_expected() -> None:
    def check(case: dict[str, Any]) -> None:
        result = decode(body_of(case), enqueued_ticks=case["now"], rules=RULES)
        assert [as_expected(element) for element in result] == case["expected"]
        assert all(element.detail for element in result if isinstance(element, Rejected))

    check_every(golden_cases(), check)


def test_bytes_that_are_not_utf8_are_rejected_even_in_a_field_nobody_asked_for() -> None:
    for body in (b"\xff\xfe{\x00", b'{"Device":1,"Tag":1,"Value":1,"unit":"\xb0C"}'):
        assert reasons(body) == ["not-utf8"]


def test_a_line_that_is_not_utf8_is_rejected_alone() -> None:
    assert reasons(b'{"Device":1,"Tag":1,"Value":1}\n{"Device":"\xff"}\n') == ["", "not-utf8"]


def test_a_body_over_the_limit_is_rejected_whole() -> None:
    body = b'{"Device":1,"Tag":1,"Value":1}'
    assert reasons(body, ReadingRules(max_body_bytes=len(body))) == [""]
    assert reasons(body, ReadingRules(max_body_bytes=len(body) - 1)) == ["too-large"]


def test_window_time_arrival_ignores_the_readings_own_time() -> None:
    rules = ReadingRules(window_time="arrival")
    for time in ('"2001-01-01T00:00:00Z"', '"yesterday"', "7", "null"):
        body = f'{{"TS":{time},"Device":1,"Tag":1,"Value":1}}'.encode()
        assert decode(body, enqueued_ticks=NOW, rules=rules) == [Reading("1", "1", NOW, 1.0)]


def test_the_limits_of_time_are_inclusive() -> None:
    rules = ReadingRules(earliest_ticks=NOW - 1, future_ticks=TICKS_PER_SECOND)
    times = ["09:59:59.9999998", "09:59:59.9999999", "10:00:01", "10:00:01.0000001"]
    bodies = [f'{{"TS":"2026-11-20T{time}Z","Device":1,"Tag":1,"Value":1}}'.encode() for time in times]
    assert [reasons(body, rules)[0] for body in bodies] == ["ancient", "", "", "far-future"]


def test_details_never_hold_what_utf8_cannot() -> None:
    (element,) = decode(b'{"TS":"\\ud800","Device":1,"Tag":1,"Value":1}', enqueued_ticks=NOW, rules=RULES)
    assert isinstance(element, Rejected)
    assert element.detail.encode()


@given(st.integers(-(6 * 10**10), 25 * 10**10), st.integers(0, 9_999_999), st.integers(-1439, 1439))
def test_a_time_keeps_every_tick_in_every_zone(seconds: int, fraction: int, offset_minutes: int) -> None:
    local = (EPOCH + timedelta(seconds=seconds, minutes=offset_minutes)).replace(tzinfo=None)
    sign, minutes = "-" if offset_minutes < 0 else "+", abs(offset_minutes)
    text = f"{local.isoformat()}.{fraction:07}{sign}{minutes // 60:02}:{minutes % 60:02}"
    assert parse_time(text) == seconds * TICKS_PER_SECOND + fraction


@given(st.binary(max_size=200))
def test_any_bytes_give_at_least_one_result(body: bytes) -> None:
    assert_accounted(body)


@given(mutated_bodies())
def test_a_mutated_golden_payload_gives_at_least_one_result(body: bytes) -> None:
    assert_accounted(body)


def test_an_element_taken_out_of_a_golden_payload_means_what_it_meant_in_it() -> None:
    check_every(map(body_of, golden_cases()), assert_elements_mean_the_same)


@given(mutated_bodies())
def test_an_element_taken_out_of_a_mutated_body_means_what_it_meant_in_it(body: bytes) -> None:
    assert_elements_mean_the_same(body)


def test_an_element_is_taken_byte_for_byte() -> None:
    body = b'\xef\xbb\xbf [ {"Value": 1.50} ,\n[1 ,2],"\xc3\xa9\\u00e9" , NaN ]'
    assert [element_at(body, index) for index in range(4)] == [
        b'{"Value": 1.50}',
        b"[[1 ,2]]",
        b'"\xc3\xa9\\u00e9"',
        b"NaN",
    ]
    assert element_at(body, 4) == body
    assert element_at(b'{"Device": 1}\r\n\n?\n', 1) == b"?"
    assert element_at(b"[1, 2", 0) == b"[1, 2"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["TS", "Device", "Tag", "Value", "x"]), json_values), json_values)
def test_an_object_means_the_same_alone_and_in_an_array(fields: dict[str, object], other: object) -> None:
    # Alone it may take the quick way, in an array with something bad it takes the thorough one.
    alone = decode(json.dumps(fields).encode(), enqueued_ticks=NOW, rules=RULES)
    together = decode(json.dumps([other, fields]).encode(), enqueued_ticks=NOW, rules=RULES)
    assert together[1:] == alone


def reasons(body: bytes, rules: ReadingRules = RULES) -> list[str]:
    result = decode(body, enqueued_ticks=NOW, rules=rules)
    return [element.reason if isinstance(element, Rejected) else "" for element in result]


def assert_accounted(body: bytes) -> None:
    result = decode(body, enqueued_ticks=NOW, rules=RULES)
    assert result
    for element in result:
        if isinstance(element, Rejected):
            assert element.reason in REASONS
            element.detail.encode()
        else:
            assert 1 <= len(element.device.encode()) <= 256
            assert abs(element.value) < 1e150
            assert RULES.earliest_ticks <= element.ticks <= NOW + RULES.future_ticks


def assert_elements_mean_the_same(body: bytes) -> None:
    result = decode(body, enqueued_ticks=NOW, rules=RULES)
    assert result
    for index, expected in enumerate(result):
        alone = decode(element_at(body, index), enqueued_ticks=NOW, rules=RULES)
        assert [as_expected(one) for one in alone] == [as_expected(expected)]


def test_an_integer_beyond_all_floats_is_out_of_range() -> None:
    body = b'{"Device":1,"Tag":1,"Value":1' + b"0" * 400 + b"}"
    assert reasons(body) == ["not-finite"]
