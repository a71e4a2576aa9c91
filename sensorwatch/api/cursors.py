"""Cursors for paging: the end of a page, as a text that is valid for one list with the same filters only.

A cursor contains the key of the last row of the page and a checksum over that key, the list and its filters. It is
refused if it was changed, or is used with another list or other filters. A cursor is not a secret: a forged one would
give access only to rows that the list returns anyway.
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
"""Number in a cursor, within the range of both databases."""

_T = TypeVar("_T")
_CHECKSUM_BYTES = 9
_LONGEST = 500


class Cursors:
    """Cursors of one list with its filters.

    Parameters
    ----------
    name
        Name of the list.
    filters
        Filters of the request; values of JSON types or times.
    """

    def __init__(self, name: str, filters: Mapping[str, Any]) -> None:
        self._salt = blake2b(msgspec.json.encode([name, filters], order="sorted"), digest_size=16).digest()

    def write(self, key: Sequence[object]) -> str:
        """Return the cursor for a page whose last row has this key."""
        content = msgspec.json.encode(list(key))
        return base64.urlsafe_b64encode(self._checksum(content) + content).decode().rstrip("=")

    def read(self, text: str | None, key: type[_T]) -> _T | None:
        """Return the key in a cursor; None if there is no cursor.

        Raises
        ------
        InvalidInputError
            The text is not a cursor of this list with these filters.
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
            f"after: expected `next` of the previous page of this list, with the same filters, got `{text[:100]}`"
        ) from None

    def _checksum(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_CHECKSUM_BYTES, key=self._salt).digest()
