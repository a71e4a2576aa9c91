"""Partition of a key."""

from __future__ import annotations

__all__ = ["partition_of_key"]

_MASK = 0xFFFFFFFF


def partition_of_key(key: str, partitions: int) -> int:
    """Return the index of a key's partition, as the Event Hubs service chooses it.

    The hash is Bob Jenkins' lookup3 (``hashlittle2`` with both seeds 0) over the key in UTF-8; its two words are
    combined into a signed 16-bit number, whose absolute value is taken modulo the number of partitions.

    Examples
    --------
    >>> [partition_of_key(key, 4) for key in ("press-1", "press-2", "")]
    [0, 2, 0]
    """
    c, b = _lookup3(key.encode())
    folded = (c ^ b) & 0xFFFF
    return abs(folded - 0x10000 if folded & 0x8000 else folded) % partitions


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _MASK


def _lookup3(data: bytes) -> tuple[int, int]:
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    position = 0
    while len(data) - position > 12:
        a, b, c = _add(data[position : position + 12], a, b, c)
        a = (a - c) & _MASK ^ _rotate(c, 4)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _rotate(a, 6)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ _rotate(b, 8)
        b = (b + a) & _MASK
        a = (a - c) & _MASK ^ _rotate(c, 16)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _rotate(a, 19)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ _rotate(b, 4)
        b = (b + a) & _MASK
        position += 12
    if position == len(data):
        return c, b
    a, b, c = _add(data[position:].ljust(12, b"\0"), a, b, c)
    c = ((c ^ b) - _rotate(b, 14)) & _MASK
    a = ((a ^ c) - _rotate(c, 11)) & _MASK
    b = ((b ^ a) - _rotate(a, 25)) & _MASK
    c = ((c ^ b) - _rotate(b, 16)) & _MASK
    a = ((a ^ c) - _rotate(c, 4)) & _MASK
    b = ((b ^ a) - _rotate(a, 14)) & _MASK
    c = ((c ^ b) - _rotate(b, 24)) & _MASK
    return c, b


def _add(block: bytes, a: int, b: int, c: int) -> tuple[int, int, int]:
    return (
        (a + int.from_bytes(block[0:4], "little")) & _MASK,
        (b + int.from_bytes(block[4:8], "little")) & _MASK,
        (c + int.from_bytes(block[8:12], "little")) & _MASK,
    )
