"""Encoding of messages: how events are received, stored and sent, and the requests to nodes.

An event is stored as a message whose first section has its annotations (the partition key and those of the sender) in a
fixed encoding. The other sections follow unchanged. When the event is sent, the broker's own annotations are inserted
before the others, without decoding the rest again.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from local.eventhubs.codec import (
    CodecError,
    Described,
    Long,
    Symbol,
    Timestamp,
    ULong,
    decode,
    encode,
    encode_described,
    skip,
)
from local.eventhubs.frames import AmqpError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BATCH_FORMAT",
    "LastEnqueued",
    "Request",
    "metric_section",
    "outgoing",
    "read_events",
    "read_request",
    "reply",
]

BATCH_FORMAT = 0x80013700

_DELIVERY_ANNOTATIONS = 0x71
_MESSAGE_ANNOTATIONS = 0x72
_PROPERTIES = 0x73
_APPLICATION_PROPERTIES = 0x74
_DATA = 0x75
_VALUE = 0x77
_CODES = range(0x70, 0x79)
_PROPERTY_COUNT = 13
_PARTITION_KEY = "x-opt-partition-key"
_OWN_ANNOTATIONS = frozenset({_PARTITION_KEY, "x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time"})

_STORED_HEAD = struct.Struct(">3sBII")
_STORED_MARK = b"\x00\x53\x72"
_MAP8 = 0xC1
_MAP32 = 0xD1
_COUNT = struct.Struct(">I")
_NUMBERS = struct.Struct(">q")
_SEQUENCE_KEY = encode(Symbol("x-opt-sequence-number")) + b"\x81"
_TIME_KEY = encode(Symbol("x-opt-enqueued-time")) + b"\x83"
_OFFSET_KEY = encode(Symbol("x-opt-offset")) + b"\xa1"
_KEY_KEY = encode(Symbol(_PARTITION_KEY))


class Request(NamedTuple):
    """A request to ``$cbs`` or ``$management``."""

    message_id: object
    reply_to: str | None
    properties: dict[str, Any]


class LastEnqueued(NamedTuple):
    """The last event of a partition; times in milliseconds since 1970-01-01 UTC."""

    sequence: int
    offset: int
    enqueued_ms: int
    retrieved_ms: int


def read_events(payload: bytes, message_format: int) -> tuple[str | None, list[bytes]]:
    """Split a delivery into the partition key and the events in their stored form.

    Parameters
    ----------
    payload
        A message, or an envelope with a message in each data section.
    message_format
        :data:`BATCH_FORMAT` for an envelope.

    Raises
    ------
    AmqpError
        The message can't be decoded.
    """
    try:
        if message_format != BATCH_FORMAT:
            key = _partition_key(payload)
            return key, [_stored(payload, key)]
        key = _partition_key(payload)
        inner = [_binary(payload, start) for code, start, _ in _sections(payload) if code == _DATA]
        return key, [_stored(event, key if key is not None else _partition_key(event)) for event in inner]
    except CodecError as exc:
        raise AmqpError("amqp:decode-error", f"the message can't be read: {exc}") from exc


def outgoing(stored: bytes, sequence: int, offset: int, enqueued_ms: int) -> bytes:
    """Return the message of an event for a consumer.

    Parameters
    ----------
    stored
        The event in its stored form.
    sequence, offset
        Its sequence number and offset.
    enqueued_ms
        Its enqueued time, in milliseconds since 1970-01-01 UTC.
    """
    _, _, size, count = _STORED_HEAD.unpack_from(stored)
    text = b"%d" % offset
    own = b"".join(
        (
            _SEQUENCE_KEY,
            _NUMBERS.pack(sequence),
            _TIME_KEY,
            _NUMBERS.pack(enqueued_ms),
            _OFFSET_KEY,
            bytes((len(text),)),
            text,
        )
    )
    head = _STORED_HEAD.pack(_STORED_MARK, _MAP32, size + len(own), count + 6)
    return head + own + stored[_STORED_HEAD.size :]


def metric_section(last: LastEnqueued) -> bytes:
    """Return the section of a consumer's message that describes the last event of the partition."""
    return _section(
        _DELIVERY_ANNOTATIONS,
        {
            Symbol("last_enqueued_sequence_number"): Long(last.sequence),
            Symbol("last_enqueued_offset"): str(last.offset),
            Symbol("last_enqueued_time_utc"): Timestamp(last.enqueued_ms),
            Symbol("runtime_info_retrieval_time_utc"): Timestamp(last.retrieved_ms),
        },
    )


def read_request(payload: bytes) -> Request:
    """Decode a request.

    Raises
    ------
    AmqpError
        The message can't be decoded or names no operation.
    """
    fields: list[Any] = []
    properties: object = {}
    try:
        for code, start, _ in _sections(payload):
            if code == _PROPERTIES:
                value, _ = decode(payload, start)
                fields = value if isinstance(value, list) else []
            elif code == _APPLICATION_PROPERTIES:
                properties, _ = decode(payload, start)
    except CodecError as exc:
        raise AmqpError("amqp:decode-error", f"the request can't be read: {exc}") from exc
    if not isinstance(properties, dict) or "operation" not in properties:
        raise AmqpError("amqp:invalid-field", "a request needs the application property `operation`")
    fields += [None] * (_PROPERTY_COUNT - len(fields))
    reply_to = fields[4] if isinstance(fields[4], str) else None
    return Request(fields[0], reply_to, {str(name): value for name, value in properties.items()})


def reply(request: Request, properties: dict[str, object], value: object) -> bytes:
    """Encode the response to a request.

    Parameters
    ----------
    request
        The request.
    properties
        Application properties of the response.
    value
        Body of the response.
    """
    fields: list[object] = [None] * _PROPERTY_COUNT
    fields[5] = request.message_id
    return (
        encode_described(_PROPERTIES, fields) + _section(_APPLICATION_PROPERTIES, properties) + _section(_VALUE, value)
    )


def _section(code: int, value: object) -> bytes:
    return encode(Described(ULong(code), value))


def _sections(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the code of each section, and the start and end of its value."""
    position = 0
    while position < len(data):
        if data[position] != 0x00:
            raise CodecError(f"a section must begin at {position}, got 0x{data[position]:02x}")
        if data.startswith(b"\x00\x53", position) and position + 2 < len(data):
            code, start = data[position + 2], position + 3
        else:
            descriptor, start = decode(data, position + 1)
            code = descriptor if isinstance(descriptor, int) else -1
        if code not in _CODES:
            raise CodecError(f"no message section has the descriptor at {position}")
        end = skip(data, start)
        yield code, start, end
        position = end


def _stored(message: bytes, key: str | None) -> bytes:
    pairs = bytearray()
    count = 0
    if key is not None:
        pairs += _KEY_KEY + encode(key)
        count = 2
    rest = bytearray()
    for code, start, end in _sections(message):
        if code == _MESSAGE_ANNOTATIONS:
            for name, pair in _pairs(message, start):
                if name not in _OWN_ANNOTATIONS:
                    pairs += pair
                    count += 2
        elif code != _DELIVERY_ANNOTATIONS:
            rest += bytes((0x00, 0x53, code))
            rest += message[start:end]
    return _STORED_HEAD.pack(_STORED_MARK, _MAP32, len(pairs) + 4, count) + pairs + rest


def _partition_key(message: bytes) -> str | None:
    for code, start, _ in _sections(message):
        if code == _MESSAGE_ANNOTATIONS:
            for name, pair in _pairs(message, start):
                if name == _PARTITION_KEY:
                    key, _ = decode(pair, skip(pair, 0))
                    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
    return None


def _pairs(data: bytes, start: int) -> Iterator[tuple[object, bytes]]:
    """Yield the keys of a map, each with the bytes of key and value."""
    end = skip(data, start)
    if data[start] == _MAP8 and end >= start + 3:
        count, position = data[start + 2], start + 3
    elif data[start] == _MAP32 and end >= start + 9:
        count, position = _COUNT.unpack_from(data, start + 5)[0], start + 9
    else:
        raise CodecError(f"annotations must be a map, got the constructor 0x{data[start]:02x}")
    for _ in range(count // 2):
        key, value_start = decode(data, position)
        pair_end = skip(data, value_start)
        if pair_end > end:
            raise CodecError(f"annotations at {start} are longer than their size says")
        yield key, data[position:pair_end]
        position = pair_end


def _binary(data: bytes, start: int) -> bytes:
    value, _ = decode(data, start)
    if not isinstance(value, bytes):
        raise CodecError("a data section must be binary")
    return value
