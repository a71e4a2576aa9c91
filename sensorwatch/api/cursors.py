"""Cursors: where a page ended, as a text that only the list that gave it takes back.

A cursor holds the key of the page's last row and a checksum over that key, the list and its filters. Changed by a bit,
or handed to another list, or to the same with other filters, it is refused. It is no secret and grants nothing: whoever
made one up would get rows that the list gives anyway.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any, TypeVar

import msgspec

from sensorwatch.errors import InvalidInputError

__all__ = ["Cursors", "Key"]

Key = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A number in a cursor, within what both databases take."""

_T = TypeVar("_T")
_CHECKSUM_BYTES = 9
_LONGEST = 500


class Cursors:
    """The cursors of one list with its filters.

    Parameters
    ----------
    name
        The list.
    filters
        What it is asked for, in JSON's types and times.
    """

    def __init__(self, name: str, filters: Mapping[str, Any]) -> None:
        self._salt = blake2b(msgspec.json.encode([name, filters], order="sorted"), digest_size=16).digest()

    def write(self, key: Sequence[object]) -> str:
        """Return the cursor of a page that ended with this key."""
        content = msgspec.json.encode(list(key))
        return base64.urlsafe_b64encode(self._checksum(content) + content).decode().rstrip("=")

    def read(self, text: str | None, key: type[_T]) -> _T | None:
        """Return the key in a cursor, None without one.

        Raises
        ------
        InvalidInputError
            It is not a cursor of this list with these filters.
        """
        if text is None:
            return None
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
            if checksum == self._checksum(content) and len(text) <= _LONGEST:
                return msgspec.json.decode(content, type=key)
        except (binascii.Error, ValueError):
            pass
        raise InvalidInputError(
            f"after: expected `next` of this list's page before, with the same filters, got `{text[:100]}`"
        ) from None

    def _checksum(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_CHECKSUM_BYTES, key=self._salt).digest()
