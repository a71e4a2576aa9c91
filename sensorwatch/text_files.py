"""Text of files that people write: UTF-8, with or without a byte order mark."""

from __future__ import annotations

__all__ = ["decode_text"]

_MARKS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def decode_text(content: bytes) -> str:
    r"""Return the text of a file without its byte order mark.

    Raises
    ------
    ValueError
        The file has another encoding. The message names it, or the first byte that is not UTF-8.

    Examples
    --------
    >>> decode_text(b"\xef\xbb\xbfdevice,tag")
    'device,tag'
    >>> decode_text(b"device,tag\nK\xe4lte,a")
    Traceback (most recent call last):
    ...
    ValueError: expected text in UTF-8, got the byte 0xe4 in line 2; save the file as UTF-8
    """
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            raise ValueError(f"expected text in UTF-8, got {encoding}; save the file as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        # The codec counts positions after the byte order mark.
        read = exc.object
        line = read.count(b"\n", 0, exc.start) + 1
        raise ValueError(
            f"expected text in UTF-8, got the byte {read[exc.start]:#04x} in line {line}; save the file as UTF-8"
        ) from None
