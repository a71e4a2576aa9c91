"""Times in signal files: absolute, or in seconds after the beginning of the simulated time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from sensorwatch.ingestion.decode import TICKS_PER_SECOND, parse_time

if TYPE_CHECKING:
    from pydantic import ValidationInfo

__all__ = ["START", "moment"]

START = "start"
"""Key in the context of validation: the beginning of the simulated time, in seconds since 1970-01-01T00:00:00Z."""


def moment(given: object, info: ValidationInfo) -> object:
    """Return a time in seconds since 1970-01-01T00:00:00Z; values of other types are returned unchanged.

    Parameters
    ----------
    given
        A time (UTC if it has no zone), its ISO 8601 text, or seconds after the beginning of the simulated time. These
        seconds may also be text, because YAML reads ``1e3`` as text.
    info
        Its context has the beginning of the simulated time under :data:`START`; without it, seconds are counted from
        1970-01-01T00:00:00Z.

    Raises
    ------
    ValueError
        A text is not a time.
    """
    if isinstance(given, str):
        with suppress(ValueError):
            given = float(given)
    if isinstance(given, str):
        try:
            return parse_time(given) / TICKS_PER_SECOND
        except ValueError:
            raise ValueError(
                "expected a time like `2026-11-20T10:15:00Z`, or a number of seconds after the simulated time begins"
            ) from None
    if isinstance(given, date) and not isinstance(given, datetime):
        given = datetime(given.year, given.month, given.day, tzinfo=UTC)
    if isinstance(given, datetime):
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    if isinstance(given, int | float) and not isinstance(given, bool):
        return given + (info.context or {}).get(START, 0.0)
    return given
