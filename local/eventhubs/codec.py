"""The AMQP 1.0 type system: conversion of Python values to bytes and back.

AMQP distinguishes a ``uint`` from a ``ulong`` and a string from a symbol. Each has its own Python type here, so that a
decoded value can be encoded again unchanged. ``None``, ``bool``, ``float`` (a double), ``str``, ``bytes``, ``list``,
``dict`` and :class:`~uuid.UUID` are used as they are.

Examples
--------
>>> decode(encode([UInt(7), Symbol("amqp:accepted:list"), None]))
([7, 'amqp:accepted:list', None], 29)
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Array",
    "Byte",
    "CodecError",
    "Described",
    "Float",
    "Int",
    "Long",
    "Opaque",
    "Short",
    "Symbol",
    "Timestamp",
    "UByte",
    "UInt",
    "ULong",
    "UShort",
    "decode",
    "encode",
    "encode_described",
    "skip",
]

_MAX_DEPTH = 32
_MAX_ZERO_WIDTH_ITEMS = 4096


class CodecError(ValueError):
    """The bytes are not AMQP, or AMQP has no type for a value."""


class UByte(int):
    """An unsigned 8-bit integer."""


class UShort(int):
    """An unsigned 16-bit integer."""


class UInt(int):
    """An unsigned 32-bit integer."""


class ULong(int):
    """An unsigned 64-bit integer."""


class Byte(int):
    """A signed 8-bit integer."""


class Short(int):
    """A signed 16-bit integer."""


class Int(int):
    """A signed 32-bit integer."""


class Long(int):
    """A signed 64-bit integer."""


class Timestamp(int):
    """Milliseconds since 1970-01-01 UTC, signed 64-bit."""


class Float(float):
    """A 32-bit float; a plain ``float`` is 64-bit."""


class Symbol(str):
    """An ASCII name, used for capabilities, conditions and annotation keys."""

    __slots__ = ()


class Array(list[Any]):
    """Values of one type; a plain ``list`` may mix types."""


class Opaque(NamedTuple):
    """A character or decimal as its constructor and its bytes, which are not interpreted."""

    code: int
    data: bytes


class Described(NamedTuple):
    """A value with the descriptor that defines its meaning."""

    descriptor: object
    value: object


_FIXED: dict[int, tuple[struct.Struct, Callable[[Any], object]]] = {
    0x50: (struct.Struct(">B"), UByte),
    0x51: (struct.Struct(">b"), Byte),
    0x52: (struct.Struct(">B"), UInt),
    0x53: (struct.Struct(">B"), ULong),
    0x54: (struct.Struct(">b"), Int),
    0x55: (struct.Struct(">b"), Long),
    0x56: (struct.Struct(">?"), bool),
    0x60: (struct.Struct(">H"), UShort),
    0x61: (struct.Struct(">h"), Short),
    0x70: (struct.Struct(">I"), UInt),
    0x71: (struct.Struct(">i"), Int),
    0x72: (struct.Struct(">f"), Float),
    0x80: (struct.Struct(">Q"), ULong),
    0x81: (struct.Struct(">q"), Long),
    0x82: (struct.Struct(">d"), float),
    0x83: (struct.Struct(">q"), Timestamp),
    0x98: (struct.Struct(">16s"), lambda data: UUID(bytes=data)),
}
_OPAQUE_WIDTHS = {0x73: 4, 0x74: 4, 0x84: 8, 0x94: 16}
_CONSTANTS: dict[int, Callable[[], object]] = {
    0x40: lambda: None,
    0x41: lambda: True,
    0x42: lambda: False,
    0x43: lambda: UInt(0),
    0x44: lambda: ULong(0),
    0x45: list,
}
_WRITE_FIXED: dict[type, int] = {
    UByte: 0x50,
    Byte: 0x51,
    UShort: 0x60,
    Short: 0x61,
    UInt: 0x70,
    Int: 0x71,
    Float: 0x72,
    ULong: 0x80,
    Long: 0x81,
    float: 0x82,
    Timestamp: 0x83,
}
_SIZE = struct.Struct(">I")
_SIZES = struct.Struct(">II")
_WIDTH_BY_CLASS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def encode(value: object) -> bytes:
    """Encode a value with its constructor.

    Raises
    ------
    CodecError
        AMQP has no type for the value, or the value is out of its type's range.
    """
    if value is None:
        return b"\x40"
    if value is True:
        return b"\x41"
    if value is False:
        return b"\x42"
    if isinstance(value, Described):
        return b"\x00" + encode(value.descriptor) + encode(value.value)
    if isinstance(value, ULong) and 0 <= value < 256:
        return bytes((0x53, value))
    code, data = _constructor_and_data(value, wide=False)
    return bytes((code,)) + data


def encode_described(code: int, fields: list[object]) -> bytes:
    """Encode a described list: a performative, an outcome or a section of a message.

    The descriptor has its one-byte form and the empty-list constructor is not used, as the SDK reads no other form.
    """
    return bytes((0x00, 0x53, code)) + encode(fields)


def decode(data: bytes, position: int = 0) -> tuple[Any, int]:
    """Decode the value that starts at ``position``; return it and the position after it.

    Raises
    ------
    CodecError
        The bytes end too early, are nested too deeply, or are not AMQP.
    """
    try:
        return _decode(data, position, 0)
    except (struct.error, IndexError) as exc:
        raise CodecError(f"AMQP value cut short: it starts at {position} of {len(data)} bytes") from exc
    except UnicodeDecodeError as exc:
        raise CodecError(f"AMQP text at {position} is not UTF-8: {exc.reason}") from exc


def skip(data: bytes, position: int) -> int:
    """Return the position after the value that starts at ``position``, without decoding the value.

    Raises
    ------
    CodecError
        The data ends before the value does, or the value has no AMQP constructor.
    """
    try:
        code = data[position]
        if code == 0x00:
            return skip(data, skip(data, position + 1))
        group = code >> 4
        if group in _WIDTH_BY_CLASS:
            end = position + 1 + _WIDTH_BY_CLASS[group]
        elif group in (0xA, 0xC, 0xE):
            end = position + 2 + data[position + 1]
        elif group in (0xB, 0xD, 0xF):
            end = position + 5 + _SIZE.unpack_from(data, position + 1)[0]
        else:
            raise CodecError(f"AMQP constructor 0x{code:02x} at {position} is not known")
    except (struct.error, IndexError, RecursionError) as exc:
        raise CodecError(f"AMQP value cut short: it starts at {position} of {len(data)} bytes") from exc
    if end > len(data):
        raise CodecError(f"AMQP value cut short: it ends at {end} of {len(data)} bytes")
    return end


def _constructor_and_data(value: object, *, wide: bool) -> tuple[int, bytes]:
    """Return a value's constructor and bytes; ``wide`` uses one constructor per type, for the items of an array."""
    kind = type(value)
    if kind in _WRITE_FIXED:
        code = _WRITE_FIXED[kind]
        try:
            return code, _FIXED[code][0].pack(value)
        except struct.error as exc:
            raise CodecError(f"{value!r} does not fit AMQP's {kind.__name__}") from exc
    if isinstance(value, bool):
        return 0x56, b"\x01" if value else b"\x00"
    if isinstance(value, Opaque):
        return value.code, value.data
    if isinstance(value, UUID):
        return 0x98, value.bytes
    if isinstance(value, Symbol):
        return _sized(0xA3, value.encode("ascii", "replace"), wide=wide)
    if isinstance(value, str):
        return _sized(0xA1, value.encode(), wide=wide)
    if isinstance(value, bytes | bytearray | memoryview):
        return _sized(0xA0, bytes(value), wide=wide)
    if isinstance(value, Array):
        return _encode_array(value)
    if isinstance(value, list):
        return _compound(0xC0, len(value), b"".join(map(encode, value)), wide=wide)
    if isinstance(value, dict):
        items = b"".join(encode(key) + encode(item) for key, item in value.items())
        return _compound(0xC1, 2 * len(value), items, wide=wide)
    raise CodecError(f"AMQP has no type for {value!r} of {kind.__name__}")


def _sized(code: int, data: bytes, *, wide: bool) -> tuple[int, bytes]:
    if wide or len(data) > 255:
        return code + 0x10, _SIZE.pack(len(data)) + data
    return code, bytes((len(data),)) + data


def _compound(code: int, count: int, items: bytes, *, wide: bool) -> tuple[int, bytes]:
    if wide or count > 255 or len(items) > 254:
        return code + 0x10, _SIZES.pack(len(items) + 4, count) + items
    return code, bytes((len(items) + 1, count)) + items


def _encode_array(values: Array) -> tuple[int, bytes]:
    items = [_constructor_and_data(value, wide=True) for value in values]
    codes = {code for code, _ in items} or {0x40}
    if len(codes) > 1:
        raise CodecError(f"the values of an AMQP array must have one type, got {list(values)!r}")
    data = bytes(codes) + b"".join(data for _, data in items)
    return 0xF0, _SIZES.pack(len(data) + 4, len(items)) + data


def _decode(data: bytes, position: int, depth: int) -> tuple[Any, int]:
    code = data[position]
    if code == 0x00:
        _check_depth(depth)
        descriptor, position = _decode(data, position + 1, depth + 1)
        value, position = _decode(data, position, depth + 1)
        return Described(descriptor, value), position
    return _decode_as(code, data, position + 1, depth)


def _decode_as(code: int, data: bytes, position: int, depth: int) -> tuple[Any, int]:
    fixed = _FIXED.get(code)
    if fixed is not None:
        layout, kind = fixed
        return kind(layout.unpack_from(data, position)[0]), position + layout.size
    constant = _CONSTANTS.get(code)
    if constant is not None:
        return constant(), position
    if code in _OPAQUE_WIDTHS:
        end = position + _OPAQUE_WIDTHS[code]
        return Opaque(code, _bytes_between(data, position, end)), end
    group = code >> 4
    if group in (0xA, 0xC, 0xE):
        size, position = data[position], position + 1
    elif group in (0xB, 0xD, 0xF):
        size, position = _SIZE.unpack_from(data, position)[0], position + 4
    else:
        raise CodecError(f"AMQP constructor 0x{code:02x} at {position - 1} is not known")
    end = position + size
    if end > len(data):
        raise CodecError(f"AMQP value cut short: it ends at {end} of {len(data)} bytes")
    if group in (0xA, 0xB):
        return _decode_variable(code & 0x0F, data[position:end], position), end
    _check_depth(depth)
    if code & 0x10:
        count, position = _SIZE.unpack_from(data, position)[0], position + 4
    else:
        count, position = data[position], position + 1
    match code & 0xEF:
        case 0xC0:
            return _decode_items(data, position, end, count, depth), end
        case 0xC1:
            items = _decode_items(data, position, end, count, depth)
            try:
                return dict(zip(items[::2], items[1::2], strict=True)), end
            except (TypeError, ValueError) as exc:
                raise CodecError(f"AMQP map at {position} has {count} items or a key that can't be one") from exc
        case 0xE0:
            return _decode_array(data, position, end, count, depth), end
    raise CodecError(f"AMQP constructor 0x{code:02x} at {position} is not known")


def _decode_variable(kind: int, data: bytes, position: int) -> object:
    match kind:
        case 0x0:
            return bytes(data)
        case 0x1:
            return str(data, "utf-8")
        case 0x3:
            return Symbol(str(data, "ascii", "replace"))
    raise CodecError(f"AMQP constructor before {position} is not known")


def _decode_items(data: bytes, position: int, end: int, count: int, depth: int) -> list[object]:
    if count > end - position:
        raise CodecError(f"AMQP list at {position} claims {count} items in {end - position} bytes")
    items = []
    for _ in range(count):
        item, position = _decode(data, position, depth + 1)
        items.append(item)
    if position != end:
        raise CodecError(f"AMQP list ends at {position}, its size says {end}")
    return items


def _decode_array(data: bytes, position: int, end: int, count: int, depth: int) -> Array:
    if count == 0:
        return Array()
    descriptor: object = None
    described = data[position] == 0x00
    if described:
        descriptor, position = _decode(data, position + 1, depth + 1)
    code, position = data[position], position + 1
    if count > max(end - position, _MAX_ZERO_WIDTH_ITEMS):
        raise CodecError(f"AMQP array at {position} claims {count} items in {end - position} bytes")
    items = Array()
    for _ in range(count):
        item, position = _decode_as(code, data, position, depth + 1)
        items.append(Described(descriptor, item) if described else item)
    if position != end:
        raise CodecError(f"AMQP array ends at {position}, its size says {end}")
    return items


def _bytes_between(data: bytes, start: int, end: int) -> bytes:
    if end > len(data):
        raise CodecError(f"AMQP value cut short: it ends at {end} of {len(data)} bytes")
    return bytes(data[start:end])


def _check_depth(depth: int) -> None:
    if depth >= _MAX_DEPTH:
        raise CodecError(f"AMQP values are nested more than {_MAX_DEPTH} deep")
