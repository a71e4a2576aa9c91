"""The AMQP type system: what is written reads back, and what is no AMQP is refused."""

from __future__ import annotations

import struct
from typing import Any
from uuid import UUID

import pytest
from azure.eventhub._pyamqp._decode import _DECODE_BY_CONSTRUCTOR
from azure.eventhub._pyamqp._encode import encode_value
from hypothesis import given
from hypothesis import strategies as st

from local.eventhubs.codec import (
    Array,
    Byte,
    CodecError,
    Described,
    Float,
    Int,
    Long,
    Opaque,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    decode,
    encode,
    encode_described,
    skip,
)


def _whole(kind: type[int], bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high).map(kind)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
_SYMBOLS = st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=300).map(Symbol)
_KEYS = st.one_of(_TEXT, _SYMBOLS, _whole(UInt, 32, signed=False), st.booleans(), st.binary(max_size=20), st.uuids())
_SCALARS: list[st.SearchStrategy[Any]] = [
    st.booleans(),
    _whole(UByte, 8, signed=False),
    _whole(UShort, 16, signed=False),
    _whole(UInt, 32, signed=False),
    _whole(ULong, 64, signed=False),
    _whole(Byte, 8, signed=True),
    _whole(Short, 16, signed=True),
    _whole(Int, 32, signed=True),
    _whole(Long, 64, signed=True),
    _whole(Timestamp, 64, signed=True),
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False).map(Float),
    _TEXT,
    _SYMBOLS,
    st.binary(max_size=300),
    st.uuids(),
    st.binary(min_size=16, max_size=16).map(lambda data: Opaque(0x94, data)),
    st.binary(min_size=4, max_size=4).map(lambda data: Opaque(0x73, data)),
]
_ARRAYS = st.one_of([st.lists(scalar, max_size=6).map(Array) for scalar in _SCALARS])
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), *_SCALARS, _ARRAYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(_KEYS, inner, max_size=5),
        st.builds(Described, st.one_of(_SYMBOLS, _whole(ULong, 64, signed=False)), inner),
    ),
    max_leaves=12,
)


def _types(value: Any) -> Any:
    if isinstance(value, Described):
        return (Described, _types(value.descriptor), _types(value.value))
    if isinstance(value, dict):
        return (dict, [(_types(key), _types(item)) for key, item in value.items()])
    if isinstance(value, list):
        return (type(value), [_types(item) for item in value])
    return type(value)


@given(_VALUES)
def test_written_values_are_read_back_with_their_types(value: Any) -> None:
    data = encode(value)
    assert decode(data) == (value, len(data))
    assert _types(decode(data)[0]) == _types(value)


@given(_VALUES, st.binary(max_size=4))
def test_skipping_a_value_ends_where_reading_it_does(value: Any, rest: bytes) -> None:
    data = encode(value)
    assert skip(data + rest, 0) == len(data)


@given(_VALUES, st.data())
def test_a_value_cut_short_is_refused(value: Any, data: st.DataObject) -> None:
    whole = encode(value)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CodecError):
        decode(whole[:cut])
    with pytest.raises(CodecError):
        skip(whole[:cut], 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_never_break_anything(data: bytes) -> None:
    try:
        _, end = decode(data)
    except CodecError:
        return
    assert 0 < end <= len(data)


@pytest.mark.parametrize(
    "value",
    [
        UInt(0),
        UInt(300),
        ULong(7),
        ULong(1 << 40),
        Long(-5),
        Symbol("a:b"),
        "text",
        b"x" * 300,
        True,
        None,
        [UInt(1), "x"],
    ],
)
def test_the_sdk_reads_what_is_written(value: Any) -> None:
    data = encode(value)
    rest, read = _DECODE_BY_CONSTRUCTOR[data[0]](memoryview(data)[1:])
    expected = value.encode() if isinstance(value, str) else value
    expected = (
        [item.encode() if isinstance(item, str) else item for item in value] if isinstance(value, list) else expected
    )
    assert (bytes(rest), read) == (b"", expected)


@pytest.mark.parametrize("value", [None, True, 5, -1, 1 << 20, 2.5, "text", b"data", UUID(int=9), [1, "x"], {"k": "v"}])
def test_values_written_by_the_sdk_are_read(value: Any) -> None:
    data = bytearray()
    encode_value(data, value)
    assert decode(bytes(data)) == (value, len(data))


def test_a_performative_is_never_written_as_the_empty_list() -> None:
    assert encode_described(0x24, []) == bytes.fromhex("005324 c00100")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x3f", id="an unknown constructor"),
        pytest.param(b"\xa2\x01x", id="an unknown variable constructor"),
        pytest.param(b"\xa1\x02\xff\xfe", id="text that is not UTF-8"),
        pytest.param(b"\xd0" + struct.pack(">II", 4, 1 << 31), id="a list with more items than bytes"),
        pytest.param(b"\xc0\x03\x01\x41\x41", id="a list longer than its items"),
        pytest.param(b"\xc1\x02\x01\x41", id="a map with a key and no value"),
        pytest.param(b"\xc1\x04\x02\xc0\x01\x00", id="a map cut in its key"),
        pytest.param(b"\xf0" + struct.pack(">II", 5, 1 << 31) + b"\x40", id="an array of two thousand million nulls"),
        pytest.param(b"\xc0\x02\x01" * 100, id="lists in lists"),
        pytest.param(b"\x00" * 5000, id="descriptors of descriptors"),
    ],
)
def test_bytes_that_are_not_amqp_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)


@pytest.mark.parametrize("value", [5, UByte(256), UInt(-1), Array([UInt(1), "x"]), object()])
def test_a_value_without_an_amqp_type_is_refused(value: object) -> None:
    with pytest.raises(CodecError):
        encode(value)
