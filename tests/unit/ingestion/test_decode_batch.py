"""Decoding many bodies at once gives what decoding them one by one gives, whatever the bodies are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from every_case import check_every
from fakes.ingestion import FakeDeadLetters, FakeIngestStore
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.ingestion.decode import Message, ReadingRules, decode, encode, parse_message, ticks_of
from sensorwatch.ingestion.decode_batch import DecodedBatch, SensorIds, decode_batch, parse_batch
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.records import IngestCounts, Partition, RawEvent, Reading
from sensorwatch.ingestion.windows import window_end
from sensorwatch.sensors.records import SensorKey

EVENTS = Path(__file__).parents[2] / "data" / "events"
START = datetime(2026, 11, 20, 10, tzinfo=UTC)
NOW = ticks_of(START)
RULES = ReadingRules()
PARTITION = Partition("readings", "$Default", "0")

PLAIN = b'{"TS":"2026-11-20T09:59:58.1234567Z","Device":1,"Tag":"t","Value":1.5}'
# Each of these is something else alone than in the neighbourhood of others.
HALVES = [
    b'{"Device":1,"Tag":1,"Value":1,"x":[{}',
    b'{"Device":1,"Tag":1,"Value":1,"x":[{',
    b'{"Device":1,"Tag":1,"Value":1,"x":{',
    b'{"Device":1,"Tag":1,"Value":1,"x":{}',
    b'{"Device":1,"Tag":1,"Value":1,"x":"{',
    b'{"Device":1,"Tag":1,"Value":1,"x":"\\',
    b'{"Device":1,"Tag":1,"Value":1',
    b'{"Device":1,"Tag":1',
    b'"Value":1}',
    b'"Tag":2,"Value":1}',
    b'{}],"y":1}',
    b'{},"y":1}',
    b'{"y":1}}',
    b'{"y":1}]}',
    b'{"}',
    b'{","y":1}',
    b'{\\","y":1}',
    b"]}",
    b"}",
    b"]",
    b",",
    b"",
    b"{",
    b"[",
    b" ",
    b"\n",
    PLAIN + b"," + PLAIN,
    PLAIN + b"\n" + PLAIN,
    PLAIN + b",\n" + PLAIN,
    PLAIN + b"," + PLAIN + b"," + PLAIN,
    PLAIN + b",",
    b"," + PLAIN,
    PLAIN + b"]",
    PLAIN + b"]\n",
    PLAIN + b"],[" + PLAIN,
    b"[" + PLAIN,
    b"[" + PLAIN + b"]",
    b"{" + PLAIN + b"}",
    b"\xef\xbb\xbf" + PLAIN,
    b" " + PLAIN + b"\r\n",
    PLAIN[:-1] + b',"x":"a\nb"}',
    PLAIN[:-1] + b',"x":"\xe2\x82',
    b'\xac"}',
    PLAIN[:-1] + b',"x":"\xff"}',
    PLAIN[:-1] + b',"x":"\\ud800"}',
    PLAIN[:-1] + b',"x":"\\ud800',
    PLAIN[:-1] + b',"x":NaN}',
    PLAIN[:-1] + b',"Value":null}',
    PLAIN[:-1] + b',"Value":-0.0}',
    PLAIN[:-1] + b',"Value":1e-200}',
    PLAIN[:-1] + b',"Value":-1e150}',
    PLAIN[:-1] + b',"Value":1e999}',
    PLAIN[:-1] + b',"Value":12345678901234567890}',
    PLAIN[:-1] + b',"Device":"1","Tag":" t "}',
    PLAIN[:-1] + b',"Device":true}',
    PLAIN[:-1] + b',"Device":12345678901234567890123}',
    PLAIN[:-1] + b',"TS":null}',
    PLAIN[:-1] + b',"x":' + b'{"a":' * 2000 + b"1" + b"}" * 2001,
    b"null",
    b"7",
]
TIMES = [
    "2026-11-20T10:00:00Z",
    "2026-11-20T10:00:00.0000000Z",
    "2026-11-20T10:00:00.0000001Z",
    "2026-11-20T09:59:55.0000000Z",
    "2026-11-20T09:59:60.0000000Z",
    "2026-11-20T09:59:59.9999999Z",
    "2026-11-20T09:59:5a.9999999Z",
    "2026-11-20T09:59:59.999999Z",
    "2026-11-20T09:59:59.12345678Z",
    "2026-11-20T09:59:59.Z",
    "2026-11-20T09:59:59.1+00:00",
    "2026-11-20T10:59:59.1+01:00",
    "2026-11-20T09:59:59.123",
    "2026-11-20t09:59:59.1234567z",
    "2026-11-20 09:59:59.1234567Z",
    "2026-11-31T09:59:59.1234567Z",
    "2026-11-20T09:59:59.\u0661\u0662\u0663Z",
    "2026-11-20T09:59:58.1234567Z\n2026-11-20T09:59:58.1234567Z",
    "2026-11-20T10:05:00.0000000Z",
    "2026-11-20T10:05:00.0000001Z",
    "1999-12-31T23:59:59.9999999Z",
    "",
]


def golden_bodies() -> list[bytes]:
    cases = [case for path in sorted(EVENTS.glob("*.json")) for case in json.loads(path.read_text("utf-8"))["cases"]]
    return [case["body"].encode() for case in cases if isinstance(case["body"], str)]


names = st.sampled_from([1, 2, "1", "02", "a", "b", "[", "{", "é", " a"])
values = st.floats() | st.integers() | st.sampled_from([0.0, -0.0, 1e150, -1e150, 1e-150, -1e-150, 9.9e149, 1e-151])
plain_bodies = st.builds(
    lambda second, fraction, device, tag, value: (
        encode(Reading("1", "1", NOW - 70_000_000 + second * 10_000_000 + fraction, 1.0))
        .replace(b'"Device": 1', b'"Device": ' + json.dumps(device, ensure_ascii=False).encode())
        .replace(b'"Tag": 1', b'"Tag": ' + json.dumps(tag).encode())
        .replace(b"1.0}", json.dumps(value).encode() + b"}")
    ),
    st.integers(0, 9),
    st.sampled_from([0, 1, 5_000_000, 9_999_999]),
    names,
    names,
    values,
)
timed_bodies = st.sampled_from(TIMES).map(
    lambda time: json.dumps({"TS": time, "Device": 1, "Tag": "t", "Value": 2}, ensure_ascii=False).encode()
)


@st.composite
def mutated_bodies(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(st.sampled_from([*golden_bodies(), *HALVES]) | plain_bodies))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(body)))
        pieces = st.sampled_from([b"{", b"}", b"[", b"]", b",", b'"', b"\\", b"\n", b",\n", b"},{", b"\xff", b"\xc3"])
        body[at : at + draw(st.integers(0, 2))] = draw(pieces | st.binary(max_size=2))
    return bytes(body)


adversarial = st.lists(
    plain_bodies | timed_bodies | st.sampled_from(HALVES) | mutated_bodies() | st.binary(max_size=5), max_size=8
)
# Long enough for the ways that many bodies go together.
mixed = st.tuples(adversarial, st.integers(0, 40), st.integers(0, 40)).map(
    lambda parts: [PLAIN] * parts[1] + parts[0] + [PLAIN] * parts[2]
)


def sensors_in(bodies: Iterable[bytes]) -> SensorIds:
    known = SensorIds()
    for body in bodies:
        for element in decode(body, enqueued_ticks=NOW, rules=RULES):
            if isinstance(element, Reading) and known.get(*element[:2]) is None:
                known.add(SensorKey(*element[:2]), len(known))
    return known


def joined(bodies: Sequence[bytes], rules: ReadingRules = RULES) -> DecodedBatch:
    return decode_batch(bodies, sensors_in(bodies), enqueued_ticks=NOW, rules=rules, window_seconds=5)


def assert_as_one_by_one(bodies: Sequence[bytes]) -> None:
    known, result = sensors_in(bodies), joined(bodies)
    assert sorted([*result.positions, *result.left]) == list(range(len(bodies)))
    assert [*result.positions] == sorted(result.positions)
    assert result.left == sorted(result.left)
    rows = zip(result.positions, result.sensor_ids, result.ends, result.values, strict=True)
    for position, sensor_id, end, value in rows:
        (reading,) = decode(bodies[position], enqueued_ticks=NOW, rules=RULES)
        assert isinstance(reading, Reading)
        assert known.get(reading.device, reading.tag) == sensor_id
        assert window_end(reading.ticks, 5) == end
        assert repr(reading.value) == repr(value)


def message_alone(body: bytes) -> Message | None:
    try:
        return parse_message(body)
    except (ValueError, RecursionError):
        return None


@given(mixed)
def test_any_bodies_decoded_together_give_what_each_gives_alone(bodies: list[bytes]) -> None:
    assert_as_one_by_one(bodies)


@given(st.lists(st.sampled_from(HALVES), min_size=2, max_size=5))
def test_bodies_that_fit_together_are_still_read_alone(bodies: list[bytes]) -> None:
    positions, messages = parse_batch(bodies, RULES.max_body_bytes)
    together = dict(zip(positions, messages, strict=True))
    assert [together.get(position) for position in range(len(bodies))] == list(map(message_alone, bodies))


def test_no_two_halves_make_a_whole() -> None:
    wholes: tuple[list[bytes], ...] = ([], [PLAIN + b"," + PLAIN], [PLAIN + b"," + PLAIN + b"," + PLAIN])
    check_every(
        ([first, second, *more] for first in HALVES for second in HALVES for more in wholes), assert_as_one_by_one
    )


@given(st.lists(timed_bodies, min_size=17, max_size=40))
def test_times_of_every_form_fall_into_the_windows_that_each_falls_into_alone(bodies: list[bytes]) -> None:
    assert_as_one_by_one(bodies)


def test_an_invalid_time_between_two_valid_ones_is_noticed() -> None:
    times = [b"08:59.9999999", b"08:60.5000000", b"09:00.0000000"]
    bodies = [PLAIN.replace(b"59:58.1234567", time) for time in times] * 20
    result = decode_batch(bodies, sensors_in([PLAIN]), enqueued_ticks=NOW, rules=RULES, window_seconds=3600)
    assert result.left == list(range(1, 60, 3))


def test_faultless_bodies_are_all_decoded_together() -> None:
    bodies = [encode(Reading("é", str(i % 7), NOW - i, i - 500.0)) for i in range(1000)]
    result = joined(bodies)
    assert result.left == []
    assert (result.ends, result.values) == ([NOW // 10_000_000] * 1000, [i - 500.0 for i in range(1000)])


def test_a_bad_body_leaves_none_but_itself_out() -> None:
    bodies = [encode(Reading("1", "1", NOW - i, 1.0)) for i in range(200)]
    for at, bad in ((3, b"?"), (50, b"[" + bodies[0] + b"]"), (120, bodies[0].replace(b"2026", b"1026"))):
        bodies[at] = bad
    bodies[199] = bodies[199].replace(b'"Tag": 1', b'"Tag": ""')
    assert joined(bodies).left == [3, 50, 120, 199]


def test_a_body_over_the_limit_is_left_out_however_many_there_are() -> None:
    bodies = [PLAIN] * 100
    bodies[7] = PLAIN + b" "
    assert joined(bodies, ReadingRules(max_body_bytes=len(PLAIN))).left == [7]


def test_bodies_are_left_out_where_the_time_of_arrival_counts() -> None:
    assert joined([PLAIN] * 3, ReadingRules(window_time="arrival")).left == [0, 1, 2]


# ---- the whole step --------------------------------------------------------------------------------------------------


def left_out(bodies: Sequence[bytes], *_: object, **__: object) -> DecodedBatch:
    return DecodedBatch([], [], [], [], list(range(len(bodies))))


def outcome(batches: Sequence[Sequence[RawEvent]], rules: IngestRules) -> tuple[object, ...]:
    store, letters = FakeIngestStore(), FakeDeadLetters()
    step = Ingest(store, letters, rules)
    counts: list[IngestCounts] = [step(PARTITION, batch) for batch in batches]
    return repr(counts), store.ids, repr(sorted(store.windows.items())), list(letters.letters.items()), store.marks


@st.composite
def streams(draw: st.DrawFn) -> list[list[RawEvent]]:
    bodies: list[bytes] = draw(st.lists(plain_bodies | timed_bodies | mutated_bodies(), min_size=1, max_size=30))
    bodies *= draw(st.integers(1, 3))
    arrivals = draw(st.lists(st.integers(-400, 10), min_size=len(bodies), max_size=len(bodies)))
    events = [
        RawEvent(number, START + timedelta(seconds=arrival), body)
        for number, (arrival, body) in enumerate(zip(arrivals, bodies, strict=True))
    ]
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=4)))
    return [events[first:last] for first, last in zip([0, *cuts], [*cuts, len(events)], strict=True)]


@settings(deadline=None)
@given(streams(), st.sampled_from([0, 5, 3600]), st.sampled_from([1, 5, 60]))
def test_the_step_ends_the_same_whether_bodies_are_decoded_together_or_alone(
    batches: list[list[RawEvent]], lateness_seconds: int, window_seconds: int
) -> None:
    rules = IngestRules(window_seconds=window_seconds, lateness_seconds=lateness_seconds)
    together = outcome(batches, rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sensorwatch.ingestion.ingest.decode_batch", left_out)
        assert outcome(batches, rules) == together
