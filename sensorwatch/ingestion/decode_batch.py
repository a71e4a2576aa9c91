"""Decoding of many bodies at once, with the same results as decoding them one by one.

The bodies are joined to one JSON array, which is parsed at once; times, names and values are validated together. A body
is decoded here only if :func:`~sensorwatch.ingestion.decode.decode` would certainly find exactly one reading in it. All
others are left to that function.

Joining is safe because every comma between two bodies separates two elements of the array:

1. The comma is followed by a line feed, which no JSON string may hold: the comma is not part of a string.
2. The line feed is followed by ``{``, as every body starts with one. In an object a comma is followed by a string, so
   this comma stands in an array.
3. No body holds a ``[``, so the only array is the one around all bodies.

Each body is therefore one element or several. There are as many elements as bodies, so each body is one element.
"""

from __future__ import annotations

from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from sensorwatch.ingestion.decode import MAX_MAGNITUDE, MIN_MAGNITUDE, Message, parse_message, parse_time, same_names
from sensorwatch.ingestion.windows import window_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.ingestion.decode import ReadingRules
    from sensorwatch.sensors.records import SensorKey

__all__ = ["DecodedBatch", "SensorIds", "decode_batch", "parse_batch"]

_MESSAGES = msgspec.json.Decoder(list[Message])
_OPENING_BRACE = {ord("{")}
_ANY_DIGIT_AS_ZERO = bytes.maketrans(b"0123456789", b"0" * 10)
_SHAPES = frozenset(f"0000-00-00T00:00:00.{'0' * digits}Z".encode() for digits in range(1, 8))
# Up to the tens of seconds: a time of the same shape between two valid times that share this prefix is valid too.
_SHARED_LENGTH = len("0000-00-00T00:00:0")
_FEW_TIMES = 16


class SensorIds:
    """Cache of sensor ids by the names in messages.

    Attributes
    ----------
    by_name
        Id by Device, then Tag. An integer and its text are the same name, but different keys.
    """

    def __init__(self) -> None:
        self.by_name: dict[int | str, dict[int | str, int]] = {}
        self._sensors = 0

    def __len__(self) -> int:
        return self._sensors

    def get(self, device: int | str, tag: int | str) -> int | None:
        """Return the id of a sensor, None if it is not cached."""
        tags = self.by_name.get(device)
        return None if tags is None else tags.get(tag)

    def add(self, key: SensorKey, sensor_id: int) -> None:
        """Cache the id of a sensor."""
        self._sensors += 1
        for device in same_names(key.device):
            tags = self.by_name.setdefault(device, {})
            for tag in same_names(key.tag):
                tags[tag] = sensor_id


class DecodedBatch(NamedTuple):
    """Readings as columns, each of shape ``(n_readings,)``, in the order of the bodies.

    Attributes
    ----------
    positions
        Position of each reading's body, from 0.
    sensor_ids
        Sensor of each reading.
    ends
        End of its window, in seconds since 1970-01-01T00:00:00Z.
    values
        Its value.
    left
        Positions of the bodies that were not decoded, ascending.
    """

    positions: Sequence[int]
    sensor_ids: list[int]
    ends: list[int]
    values: list[float]
    left: list[int]

    def without(self, left: set[int]) -> DecodedBatch:
        """Return the readings without those at these positions, which count as not decoded."""
        if not left:
            return self
        kept = [position not in left for position in self.positions]
        return DecodedBatch(
            list(compress(self.positions, kept)),
            list(compress(self.sensor_ids, kept)),
            list(compress(self.ends, kept)),
            list(compress(self.values, kept)),
            sorted(left.union(self.left)),
        )


def decode_batch(
    bodies: Sequence[bytes], known: SensorIds, *, enqueued_ticks: int, rules: ReadingRules, window_seconds: int
) -> DecodedBatch:
    """Return the readings of those bodies that hold a single valid reading of a known sensor with a time of its own.

    Parameters
    ----------
    bodies
        Bodies of events, any bytes.
    known
        Cached sensor ids.
    enqueued_ticks
        Enqueued time of the first event, in ticks (100 ns) since 1970-01-01T00:00:00Z.
    rules
        Rules for a reading.
    window_seconds
        Length of a window, in seconds.
    """
    if rules.window_time == "arrival" or not bodies:
        return DecodedBatch([], [], [], [], list(range(len(bodies))))
    positions, messages = parse_batch(bodies, rules.max_body_bytes)
    if not messages:
        return DecodedBatch([], [], [], [], list(range(len(bodies))))
    skipped: set[int] = set()
    sensor_ids = _sensor_ids(messages, known, skipped)
    times = _Times(window_seconds, rules.earliest_ticks, enqueued_ticks + rules.future_ticks, skipped)
    ends = times.ends([message.TS or "" for message in messages], 0)
    values = _values(messages, skipped)
    left = [] if len(messages) == len(bodies) else sorted(set(range(len(bodies))).difference(positions))
    return DecodedBatch(positions, sensor_ids, ends, values, left).without({positions[at] for at in skipped})


def parse_batch(bodies: Sequence[bytes], max_body_bytes: int) -> tuple[Sequence[int], list[Message]]:
    """Return the positions of the bodies that are one message each, from 0, and the messages."""
    messages = _parse_together(bodies, max_body_bytes)
    if messages is not None:
        return range(len(bodies)), messages
    # Parsing one by one costs less than bisecting for the bodies that can be joined.
    parsed = {at: message for at, body in enumerate(bodies) if (message := _parse_alone(body, max_body_bytes))}
    return list(parsed), list(parsed.values())


def _parse_together(bodies: Sequence[bytes], max_body_bytes: int) -> list[Message] | None:
    text = b"[" + b",\n".join(bodies) + b"]"
    if len(text) > max_body_bytes or text.rfind(b"["):
        return None
    try:
        if set(map(itemgetter(0), bodies)) != _OPENING_BRACE:
            return None
        if not text.isascii():
            text.decode()
        messages = _MESSAGES.decode(text)
    except (ValueError, IndexError, RecursionError):
        return None
    return messages if len(messages) == len(bodies) else None


def _parse_alone(body: bytes, max_body_bytes: int) -> Message | None:
    try:
        return parse_message(body) if len(body) <= max_body_bytes else None
    except (ValueError, RecursionError):
        return None


def _sensor_ids(messages: list[Message], known: SensorIds, skipped: set[int]) -> list[int]:
    by_name = known.by_name
    try:
        return [by_name[message.Device][message.Tag] for message in messages]
    except KeyError:
        found = [known.get(message.Device, message.Tag) for message in messages]
    skipped.update(at for at, sensor_id in enumerate(found) if sensor_id is None)
    return [sensor_id or 0 for sensor_id in found]


def _values(messages: list[Message], skipped: set[int]) -> list[float]:
    values = [message.Value for message in messages]
    low = min(values)
    if low <= -MAX_MAGNITUDE or max(values) >= MAX_MAGNITUDE:
        skipped.update(at for at, value in enumerate(values) if abs(value) >= MAX_MAGNITUDE)
    if low <= MIN_MAGNITUDE:
        values = [value if abs(value) > MIN_MAGNITUDE else 0.0 for value in values]
    return values


class _Times:
    """Windows of times; positions of invalid times and of times beyond the limits (both inclusive) are skipped."""

    def __init__(self, window_seconds: int, earliest_ticks: int, latest_ticks: int, skipped: set[int]) -> None:
        self._window_seconds = window_seconds
        self._earliest_ticks = earliest_ticks
        self._latest_ticks = latest_ticks
        self._skipped = skipped

    def ends(self, texts: list[str], first: int) -> list[int]:
        """Return the ends of the windows of times whose positions start at ``first``; neighbours usually share one."""
        if len(texts) <= _FEW_TIMES:
            return [self._end(text, at) for at, text in enumerate(texts, first)]
        shared = self._shared_end(texts)
        if shared is not None:
            return [shared] * len(texts)
        half = len(texts) // 2
        return self.ends(texts[:half], first) + self.ends(texts[half:], first + half)

    def _end(self, text: str, at: int) -> int:
        try:
            ticks = parse_time(text)
        except ValueError:
            self._skipped.add(at)
            return 0
        if not self._earliest_ticks <= ticks <= self._latest_ticks:
            self._skipped.add(at)
        return window_end(ticks, self._window_seconds)

    def _shared_end(self, texts: list[str]) -> int | None:
        # Times of one shape sort as text in the order of time.
        low, high = min(texts), max(texts)
        if low[:_SHARED_LENGTH] != high[:_SHARED_LENGTH]:
            return None
        try:
            first, last = parse_time(low), parse_time(high)
        except ValueError:
            return None
        end = window_end(last, self._window_seconds)
        if window_end(first, self._window_seconds) != end or not _have_one_shape(texts):
            return None
        return end if first >= self._earliest_ticks and last <= self._latest_ticks else None


def _have_one_shape(texts: list[str]) -> bool:
    """Return whether all times are like 0000-00-00T00:00:00.0000000Z, with the same number of fraction digits."""
    joined = "\n".join(texts)
    if not joined.isascii():
        return False
    shape = texts[0].encode().translate(_ANY_DIGIT_AS_ZERO)
    return shape in _SHAPES and joined.encode().translate(_ANY_DIGIT_AS_ZERO) == b"\n".join([shape] * len(texts))
