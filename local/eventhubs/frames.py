"""AMQP frames and the performatives in them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from local.eventhubs.codec import (
    Array,
    CodecError,
    Described,
    Symbol,
    UByte,
    UInt,
    ULong,
    UShort,
    decode,
    encode_described,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "ACCEPTED",
    "AMQP_FRAME",
    "AMQP_HEADER",
    "EMPTY_FRAME",
    "SASL_FRAME",
    "SASL_HEADER",
    "AmqpError",
    "Attach",
    "Begin",
    "Close",
    "Detach",
    "Disposition",
    "End",
    "Flow",
    "Frame",
    "Open",
    "Performative",
    "SaslInit",
    "SaslMechanisms",
    "SaslOutcome",
    "Transfer",
    "decode_performative",
    "encode_frame",
    "rejected",
    "split_frames",
]

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
AMQP_FRAME = 0
SASL_FRAME = 1
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"
ACCEPTED = Described(ULong(0x24), [])

_HEAD = struct.Struct(">IBBH")
_ERROR_CODE = 0x1D
_REJECTED_CODE = 0x25


class AmqpError(Exception):
    """An error that is sent to the peer: an AMQP condition and a description.

    Raised while a frame is handled, it ends the smallest unit that it affects: a delivery, a link, a session or the
    connection.
    """

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(f"{condition}: {description}")
        self.condition = condition
        self.description = description

    def described(self) -> Described:
        """Return the error as an AMQP value."""
        return Described(ULong(_ERROR_CODE), [Symbol(self.condition), self.description, None])


def rejected(error: AmqpError) -> Described:
    """Return the outcome of a refused delivery."""
    return Described(ULong(_REJECTED_CODE), [error.described()])


class Performative:
    """A list of fields under a descriptor; ``layout`` has the name, the type and the necessity of each field."""

    code: ClassVar[int]
    layout: ClassVar[tuple[tuple[str, type[Any], bool], ...]]

    def __init__(self, **fields: Any) -> None:
        unknown = fields.keys() - {name for name, _, _ in self.layout}
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)}")
        for name, _, _ in self.layout:
            setattr(self, name, fields.get(name))

    @classmethod
    def from_fields(cls, fields: list[Any]) -> Self:
        """Create a performative from its fields by position; fields missing at the end are ``None``.

        Raises
        ------
        AmqpError
            A field has the wrong type, or a mandatory one is missing.
        """
        performative = cls.__new__(cls)
        given = len(fields)
        if given > len(cls.layout):
            raise AmqpError("amqp:decode-error", f"{cls.__name__} has {len(cls.layout)} fields, got {given}")
        for index, (name, kind, mandatory) in enumerate(cls.layout):
            value = fields[index] if index < given else None
            if value is None:
                if mandatory:
                    raise AmqpError("amqp:invalid-field", f"{cls.__name__} needs {name}")
            elif not isinstance(value, kind):
                raise AmqpError(
                    "amqp:decode-error", f"{cls.__name__}.{name} must be a {kind.__name__}, got `{value!r}`"
                )
            setattr(performative, name, value)
        return performative

    def encode(self) -> bytes:
        """Encode all fields, including trailing nulls, as the SDK accepts no shorter list."""
        values: list[object] = []
        for name, kind, _ in self.layout:
            value = getattr(self, name)
            values.append(value if value is None or kind in (bool, object) or type(value) is kind else kind(value))
        return encode_described(self.code, values)


class Open(Performative):
    """Begin of a connection, with the limits of its sender."""

    container_id: str
    hostname: str | None
    max_frame_size: int | None
    channel_max: int | None
    idle_timeout: int | None

    code = 0x10
    layout = (
        ("container_id", str, True),
        ("hostname", str, False),
        ("max_frame_size", UInt, False),
        ("channel_max", UShort, False),
        ("idle_timeout", UInt, False),
        ("outgoing_locales", object, False),
        ("incoming_locales", object, False),
        ("offered_capabilities", object, False),
        ("desired_capabilities", object, False),
        ("properties", dict, False),
    )


class Begin(Performative):
    """Begin of a session on a channel."""

    remote_channel: int | None
    next_outgoing_id: int
    incoming_window: int
    outgoing_window: int
    handle_max: int | None

    code = 0x11
    layout = (
        ("remote_channel", UShort, False),
        ("next_outgoing_id", UInt, True),
        ("incoming_window", UInt, True),
        ("outgoing_window", UInt, True),
        ("handle_max", UInt, False),
        ("offered_capabilities", object, False),
        ("desired_capabilities", object, False),
        ("properties", dict, False),
    )


class Attach(Performative):
    """Begin of a link; ``role`` is true for the receiver."""

    name: str
    handle: int
    role: bool
    snd_settle_mode: int | None
    rcv_settle_mode: int | None
    source: Described | None
    target: Described | None
    initial_delivery_count: int | None
    max_message_size: int | None
    offered_capabilities: Any
    desired_capabilities: Any
    properties: dict[Any, Any] | None

    code = 0x12
    layout = (
        ("name", str, True),
        ("handle", UInt, True),
        ("role", bool, True),
        ("snd_settle_mode", UByte, False),
        ("rcv_settle_mode", UByte, False),
        ("source", Described, False),
        ("target", Described, False),
        ("unsettled", dict, False),
        ("incomplete_unsettled", bool, False),
        ("initial_delivery_count", UInt, False),
        ("max_message_size", ULong, False),
        ("offered_capabilities", object, False),
        ("desired_capabilities", object, False),
        ("properties", dict, False),
    )


class Flow(Performative):
    """Windows of a session and, with a handle, credit of a link."""

    next_incoming_id: int | None
    incoming_window: int
    next_outgoing_id: int
    outgoing_window: int
    handle: int | None
    delivery_count: int | None
    link_credit: int | None
    available: int | None
    drain: bool | None
    echo: bool | None

    code = 0x13
    layout = (
        ("next_incoming_id", UInt, False),
        ("incoming_window", UInt, True),
        ("next_outgoing_id", UInt, True),
        ("outgoing_window", UInt, True),
        ("handle", UInt, False),
        ("delivery_count", UInt, False),
        ("link_credit", UInt, False),
        ("available", UInt, False),
        ("drain", bool, False),
        ("echo", bool, False),
        ("properties", dict, False),
    )


class Transfer(Performative):
    """A message or a part of one."""

    handle: int
    delivery_id: int | None
    message_format: int | None
    settled: bool | None
    more: bool | None
    aborted: bool | None

    code = 0x14
    layout = (
        ("handle", UInt, True),
        ("delivery_id", UInt, False),
        ("delivery_tag", bytes, False),
        ("message_format", UInt, False),
        ("settled", bool, False),
        ("more", bool, False),
        ("rcv_settle_mode", UByte, False),
        ("state", object, False),
        ("resume", bool, False),
        ("aborted", bool, False),
        ("batchable", bool, False),
    )


class Disposition(Performative):
    """Outcome of a range of deliveries, both ends inclusive."""

    code = 0x15
    layout = (
        ("role", bool, True),
        ("first", UInt, True),
        ("last", UInt, False),
        ("settled", bool, False),
        ("state", object, False),
        ("batchable", bool, False),
    )


class Detach(Performative):
    """End of a link."""

    handle: int
    closed: bool | None

    code = 0x16
    layout = (("handle", UInt, True), ("closed", bool, False), ("error", object, False))


class End(Performative):
    """End of a session."""

    code = 0x17
    layout = (("error", object, False),)


class Close(Performative):
    """End of a connection."""

    code = 0x18
    layout = (("error", object, False),)


class SaslMechanisms(Performative):
    """Authentication mechanisms that the broker offers."""

    code = 0x40
    layout = (("mechanisms", Array, True),)


class SaslInit(Performative):
    """Authentication mechanism that the client chose."""

    mechanism: str

    code = 0x41
    layout = (("mechanism", Symbol, True), ("initial_response", bytes, False), ("hostname", str, False))


class SaslOutcome(Performative):
    """Result of the authentication; 0 is success."""

    code = 0x44
    layout = (("outcome", UByte, True), ("additional_data", bytes, False))


_BY_CODE: dict[int, type[Performative]] = {
    kind.code: kind
    for kind in (
        *(Open, Begin, Attach, Flow, Transfer, Disposition, Detach, End, Close),
        *(SaslMechanisms, SaslInit, SaslOutcome),
    )
}


class Frame(NamedTuple):
    """A received frame: its type, its channel and its body, which is empty in a keep-alive frame."""

    kind: int
    channel: int
    body: bytes


def encode_frame(channel: int, performative: Performative, *, kind: int = AMQP_FRAME) -> bytes:
    """Encode a performative as a frame.

    Parameters
    ----------
    channel
        Channel of the session.
    performative
        Content of the frame.
    kind
        Frame type: AMQP or SASL.
    """
    body = performative.encode()
    return _HEAD.pack(len(body) + 8, 2, kind, channel) + body


def split_frames(buffer: bytearray, max_frame_size: int) -> Generator[Frame]:
    """Remove the complete frames from the start of a buffer and yield them.

    Raises
    ------
    AmqpError
        The header of a frame is invalid, or the frame is larger than ``max_frame_size`` bytes.
    """
    position = 0
    try:
        while len(buffer) - position >= 8:
            size, offset, kind, channel = _HEAD.unpack_from(buffer, position)
            if not 8 <= size <= max_frame_size or not 8 <= 4 * offset <= size:
                raise AmqpError(
                    "amqp:connection:framing-error",
                    f"frame of {size} bytes with its body at {4 * offset}: expected 8 to {max_frame_size} bytes",
                )
            if len(buffer) - position < size:
                break
            body = bytes(buffer[position + 4 * offset : position + size])
            position += size
            yield Frame(kind, channel, body)
    finally:
        del buffer[:position]


def decode_performative(body: bytes) -> tuple[Performative, int]:
    """Decode the performative of a frame; return it and the position of the payload after it.

    Raises
    ------
    AmqpError
        The body is not a performative.
    """
    try:
        described, end = decode(body)
    except CodecError as exc:
        raise AmqpError("amqp:decode-error", str(exc)) from exc
    if not isinstance(described, Described) or not isinstance(described.value, list):
        raise AmqpError("amqp:decode-error", "the body of a frame must be a described list")
    code = described.descriptor
    kind = _BY_CODE.get(code) if isinstance(code, int) else None
    if kind is None:
        raise AmqpError("amqp:not-implemented", f"no performative has the descriptor `{code!r}`")
    return kind.from_fields(described.value), end
