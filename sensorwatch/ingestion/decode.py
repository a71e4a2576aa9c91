"""Decoding of event bodies to readings, and the reverse.

A body holds one JSON object, an array of objects, or one object a line (NDJSON)::

    {"TS": "2018-04-06T20:59:55.7096564Z", "Device": 2, "Tag": 4, "Value": 84.92}

- ``Device`` and ``Tag``: text of 1-64 characters (surrounding white space is removed, control characters are rejected)
  or an integer, which is stored as its decimal text.
- ``Value``: a finite number up to 1e150 in magnitude, so that sums of squares stay finite; magnitudes below 1e-150
  become 0, as databases reject denormal numbers.
- ``TS``: ISO 8601 with seconds, 0-7 fraction digits, ``T`` or a space, and ``Z``, an offset or nothing, which means
  UTC. If it is missing or null, the time at which the event was enqueued counts.

Other fields are ignored; if a field is given twice, the last one counts. Field names are case-sensitive.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec

from sensorwatch.ingestion.records import Reading, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_MAGNITUDE",
    "MIN_MAGNITUDE",
    "TICKS_PER_SECOND",
    "Message",
    "ReadingRules",
    "decode",
    "element_at",
    "encode",
    "parse_message",
    "parse_time",
    "same_names",
    "ticks_of",
    "time_of",
]

TICKS_PER_SECOND = 10_000_000
MAX_MAGNITUDE = 1e150
MIN_MAGNITUDE = 1e-150
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_NAME_CHARACTERS = 64
_MAX_DIGITS = 400
_SHOWN_CHARACTERS = 60
_BOM = b"\xef\xbb\xbf"

_HEAD = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)", re.ASCII)
_TAIL = re.compile(r"(?:\.(\d{1,7}))?(?:[Zz]|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?", re.ASCII)
_HEAD_LENGTH = 19
_INTEGER = re.compile(r"0|-?[1-9]\d*", re.ASCII)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """Rules for a single reading; times in ticks (100 ns), as durations or since 1970-01-01T00:00:00Z.

    Attributes
    ----------
    window_time
        ``event``: the reading's own TS counts. ``arrival``: the enqueued time counts, and TS is ignored.
    earliest_ticks
        Earlier readings are rejected as ``ancient``.
    future_ticks
        Readings further ahead of the enqueued time are rejected as ``far-future``.
    max_body_bytes
        Larger bodies are rejected as ``too-large``.
    """

    window_time: Literal["event", "arrival"] = "event"
    earliest_ticks: int = 946_684_800 * TICKS_PER_SECOND
    future_ticks: int = 300 * TICKS_PER_SECOND
    max_body_bytes: int = 1_048_576


class Message(msgspec.Struct, gc=False, kw_only=True):
    """The JSON object of a reading with fields of the right types; values are not validated yet.

    The fields are declared in the order in which senders write them, which decodes fastest.
    """

    TS: str | None = None
    Device: int | str
    Tag: int | str
    Value: float


_MESSAGE = msgspec.json.Decoder(Message)


def decode(body: bytes, *, enqueued_ticks: int, rules: ReadingRules) -> list[Reading | Rejected]:
    """Return the elements of a body in their order: at least one, and never an exception.

    Parameters
    ----------
    body
        The body, any bytes.
    enqueued_ticks
        The enqueued time of the event, in ticks since 1970-01-01T00:00:00Z.
    rules
        Rules for a reading.

    Returns
    -------
    list
        A reading or a rejection for each element; one rejection for a body that can't be decoded. Reasons are
        ``empty``, ``too-large``, ``not-utf8``, ``not-json``, ``not-object``, ``missing-field``, ``wrong-type``,
        ``bad-name``, ``too-long``, ``bad-time``, ``not-finite``, ``out-of-range``, ``ancient`` and ``far-future``.

    Examples
    --------
    >>> body = b'{"TS": "1970-01-01T00:00:01.5Z", "Device": 2, "Tag": "rpm", "Value": 3}'
    >>> decode(body, enqueued_ticks=0, rules=ReadingRules(earliest_ticks=0))
    [Reading(device='2', tag='rpm', ticks=15000000, value=3.0)]
    >>> decode(b"?", enqueued_ticks=0, rules=ReadingRules())[0].reason
    'not-json'
    """
    if len(body) > rules.max_body_bytes:
        return [Rejected("too-large", f"the body has {len(body)} bytes, more than the limit of {rules.max_body_bytes}")]
    reading = _plain_reading(body, enqueued_ticks, rules)
    if reading is not None:
        return [reading]
    return list(_examine(body, enqueued_ticks, rules)) or [
        Rejected("empty", "the body holds an array without elements")
    ]


def element_at(body: bytes, index: int) -> bytes:
    """Return the element at an index of :func:`decode`'s result as a body of its own, byte for byte.

    A body that can't be decoded, or has no such element, is returned unchanged.

    Examples
    --------
    >>> element_at(b'[{"Device": 1}, 7,  "x"]', 1)
    b'7'
    """
    text = body.removeprefix(_BOM)
    whole = _parse(text)
    if isinstance(whole, list):
        parts = _array_parts(text.decode(), len(whole))
    elif isinstance(whole, Rejected) and len(_elements(text)) > 1:
        parts = [line for line in text.split(b"\n") if line.strip()]
    else:
        return body
    if not 0 <= index < len(parts):
        return body
    # Alone, an array in an array would be taken apart.
    return b"[" + parts[index] + b"]" if isinstance(_parse(parts[index]), list) else parts[index]


def encode(reading: Reading) -> bytes:
    """Return the message of a reading, in the form of the original simulator; integer names become JSON numbers.

    Examples
    --------
    >>> encode(Reading("2", "rpm", 1, 84.92))
    b'{"TS": "1970-01-01T00:00:00.0000001Z", "Device": 2, "Tag": "rpm", "Value": 84.92}'
    """
    seconds, fraction = divmod(reading.ticks, TICKS_PER_SECOND)
    return (
        f'{{"TS": "{_second_text(seconds)}.{fraction:07}Z", "Device": {_name_text(reading.device)}, '
        f'"Tag": {_name_text(reading.tag)}, "Value": {reading.value!r}}}'
    ).encode()


def parse_message(body: bytes) -> Message:
    """Return the single object of a body.

    Raises
    ------
    ValueError
        The body is not one JSON object in UTF-8, or a field is missing or of another type.
    RecursionError
        The body is nested too deeply.
    """
    if not body.isascii():
        body.decode()
    return _MESSAGE.decode(body)


def same_names(name: str) -> list[int | str]:
    """Return the values of ``Device`` or ``Tag`` that mean this name, apart from surrounding white space.

    Examples
    --------
    >>> same_names("2"), same_names("02")
    (['2', 2], ['02'])
    """
    return [name, int(name)] if _INTEGER.fullmatch(name) else [name]


def ticks_of(moment: datetime) -> int:
    """Return an aware time as ticks (100 ns) since 1970-01-01T00:00:00Z."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * TICKS_PER_SECOND + since.microseconds * 10


def time_of(ticks: int) -> datetime:
    """Return the aware time (UTC) of ticks since 1970-01-01T00:00:00Z, truncated to microseconds."""
    return _EPOCH + timedelta(microseconds=ticks // 10)


def parse_time(text: str) -> int:
    """Return the ticks (100 ns since 1970-01-01T00:00:00Z) of an ISO 8601 time, with all seven fraction digits.

    Raises
    ------
    ValueError
        The text does not have the form that the module describes, or the time does not exist (30 February, a leap
        second).

    Examples
    --------
    >>> parse_time("1970-01-01T01:00:00.0000001+01:00")
    1
    """
    ticks = _second_ticks(text[:_HEAD_LENGTH])
    tail = text[_HEAD_LENGTH:]
    if tail == "Z":
        return ticks
    match = _TAIL.fullmatch(tail)
    if match is None:
        raise ValueError(
            "after the seconds expected up to 7 fraction digits and Z, an offset like +01:00 or nothing, "
            f"got `{_cut(tail)}`"
        )
    fraction, sign, hours, minutes = match.groups()
    if fraction:
        ticks += int(fraction.ljust(7, "0"))
    if sign:
        offset = (int(hours) * 3600 + int(minutes or 0) * 60) * TICKS_PER_SECOND
        ticks += offset if sign == "-" else -offset
    return ticks


# Neighbouring readings share their second: parsing it once saves most of the work.
@lru_cache(maxsize=65_536)
def _second_ticks(head: str) -> int:
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ValueError(f"expected a time like 2018-04-06T20:59:55.7096564Z, got `{_cut(head)}`")
    year, month, day, hour, minute, second = map(int, match.groups())
    return ticks_of(datetime(year, month, day, hour, minute, second, tzinfo=UTC))


@lru_cache(maxsize=65_536)
def _second_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()


@lru_cache(maxsize=262_144)
def _name_text(name: str) -> str:
    return name if _INTEGER.fullmatch(name) else json.dumps(name)


# Names repeat with every reading of a sensor; only valid ones are cached.
@lru_cache(maxsize=262_144, typed=True)
def _name(value: int | str) -> str:
    text = value.strip() if isinstance(value, str) else str(value)
    if not text:
        raise _RejectedError("bad-name", "is empty")
    if len(text) > _MAX_NAME_CHARACTERS:
        raise _RejectedError("too-long", f"has {len(text)} characters, more than {_MAX_NAME_CHARACTERS}")
    if _UNPRINTABLE.search(text):
        raise _RejectedError("bad-name", "holds a control character or half a surrogate pair")
    return text


class _RejectedError(Exception):
    """A rejection on its way to :func:`decode`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def _plain_reading(body: bytes, enqueued_ticks: int, rules: ReadingRules) -> Reading | None:
    """Return the reading of a body that is one valid object; None leaves the body to :func:`_examine`."""
    try:
        message = parse_message(body)
        text = message.TS
        return _reading(
            _name(message.Device),
            _name(message.Tag),
            enqueued_ticks if text is None or rules.window_time == "arrival" else parse_time(text),
            message.Value,
            enqueued_ticks,
            rules,
        )
    except (ValueError, RecursionError, _RejectedError):
        return None


def _reading(device: str, tag: str, ticks: int, value: float, enqueued_ticks: int, rules: ReadingRules) -> Reading:
    magnitude = abs(value)
    if not MIN_MAGNITUDE < magnitude < MAX_MAGNITUDE:
        if not math.isfinite(value):
            raise _RejectedError("not-finite", f"Value is {value}; expected a finite number")
        if magnitude >= MAX_MAGNITUDE:
            raise _RejectedError("out-of-range", f"Value is {value}; expected less than {MAX_MAGNITUDE} in magnitude")
        value = 0.0
    if ticks < rules.earliest_ticks:
        seconds = (rules.earliest_ticks - ticks) // TICKS_PER_SECOND
        raise _RejectedError("ancient", f"TS is {seconds} s before the earliest accepted time (EARLIEST_TIME)")
    if ticks - enqueued_ticks > rules.future_ticks:
        seconds = (ticks - enqueued_ticks) // TICKS_PER_SECOND
        raise _RejectedError(
            "far-future",
            f"TS is {seconds} s ahead of its arrival, more than {rules.future_ticks // TICKS_PER_SECOND} "
            "(FUTURE_SECONDS); check the device's clock",
        )
    return Reading(device, tag, ticks, value)


def _examine(body: bytes, enqueued_ticks: int, rules: ReadingRules) -> Iterator[Reading | Rejected]:
    for element in _elements(body.removeprefix(_BOM)):
        if isinstance(element, Rejected):
            yield element
            continue
        try:
            yield _check(element, enqueued_ticks, rules)
        except _RejectedError as rejected:
            yield Rejected(rejected.reason, rejected.detail)


def _elements(body: bytes) -> list[object]:
    """Split a body into elements; one that can't be parsed is a :class:`Rejected` in its place."""
    if not body.strip():
        return [Rejected("empty", f"the body has {len(body)} bytes, none of them JSON")]
    whole = _parse(body)
    if isinstance(whole, list):
        return whole
    if isinstance(whole, Rejected) and b"\n" in body and not body.lstrip().startswith(b"["):
        lines = [_parse(line) for line in body.split(b"\n") if line.strip()]
        if any(isinstance(line, dict) for line in lines):
            return lines
    return [whole]


def _array_parts(text: str, length: int) -> list[bytes]:
    """Return the texts of the elements of an array; the text is known to hold ``length`` of them."""
    parts = []
    end = text.index("[")
    for _ in range(length):
        start = _after_blanks(text, end + 1)
        _, stop = _SCANNER.raw_decode(text, start)
        parts.append(text[start:stop].encode())
        end = _after_blanks(text, stop)
    return parts


def _after_blanks(text: str, at: int) -> int:
    while text[at] in " \t\n\r":
        at += 1
    return at


def _parse(text: bytes) -> object:
    """Return the value of a JSON text; NaN and numbers too large for a float pass, and fail only their reading."""
    try:
        return json.loads(text.decode(), parse_int=_parse_integer)
    except UnicodeDecodeError as exc:
        return Rejected("not-utf8", f"byte {exc.start} of the text is not UTF-8")
    except json.JSONDecodeError as exc:
        return Rejected("not-json", f"{exc.msg} at character {exc.pos}: `{_cut(exc.doc[exc.pos :])}`")
    except RecursionError:
        return Rejected("not-json", "nested too deeply")


def _parse_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_SCANNER = json.JSONDecoder(parse_int=_parse_integer)


def _check(element: object, enqueued_ticks: int, rules: ReadingRules) -> Reading:
    if not isinstance(element, dict):
        raise _RejectedError("not-object", f"expected an object with TS, Device, Tag and Value, got {_shown(element)}")
    missing = [field for field in ("Device", "Tag", "Value") if field not in element]
    if missing:
        raise _RejectedError("missing-field", f"{' and '.join(missing)} missing; expected TS, Device, Tag and Value")
    return _reading(
        _checked_name("Device", element["Device"]),
        _checked_name("Tag", element["Tag"]),
        enqueued_ticks if rules.window_time == "arrival" else _checked_time(element.get("TS"), enqueued_ticks),
        _checked_value(element["Value"]),
        enqueued_ticks,
        rules,
    )


def _checked_name(field: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _RejectedError("wrong-type", f"{field} is {_shown(value)}; expected text or an integer")
    try:
        return _name(value)
    except _RejectedError as exc:
        raise _RejectedError(
            exc.reason, f"{field} {exc.detail}; expected 1-{_MAX_NAME_CHARACTERS} characters"
        ) from None


def _checked_time(value: object, enqueued_ticks: int) -> int:
    if value is None:
        return enqueued_ticks
    if not isinstance(value, str):
        raise _RejectedError("wrong-type", f"TS is {_shown(value)}; expected text like 2018-04-06T20:59:55.7096564Z")
    try:
        return parse_time(value)
    except ValueError as exc:
        raise _RejectedError("bad-time", f"TS: {exc}") from None


def _checked_value(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _RejectedError("wrong-type", f"Value is {_shown(value)}; expected a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return f"the text `{_cut(value)}`"
        case _:
            return f"`{_cut(json.dumps(value))}`"


def _cut(text: str) -> str:
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
    # A lone surrogate would make the detail impossible to store.
    return shown.encode("utf-8", "replace").decode()
