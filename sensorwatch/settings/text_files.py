"""Text files that people write and read: their encoding, and cells of CSV that are safe in a spreadsheet."""

from __future__ import annotations

__all__ = ["decode_text", "escape_cell", "unescape_cell"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet takes for a formula."""

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


def escape_cell(text: str) -> str:
    """Return a text as a cell of CSV that no spreadsheet takes for a formula: with a leading apostrophe if needed.

    See https://owasp.org/www-community/attacks/CSV_Injection. A text is escaped too if it would otherwise read back as
    another one.

    Examples
    --------
    >>> escape_cell("=HYPERLINK(1)"), escape_cell("press-7"), escape_cell("'=")
    ("'=HYPERLINK(1)", 'press-7', "''=")
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def unescape_cell(text: str) -> str:
    """Return the text of a cell that :func:`escape_cell` wrote.

    Examples
    --------
    >>> unescape_cell("'=HYPERLINK(1)"), unescape_cell("'quoted'"), unescape_cell("=1")
    ('=HYPERLINK(1)', "'quoted'", '=1')
    """
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text
