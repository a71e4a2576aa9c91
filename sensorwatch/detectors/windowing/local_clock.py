"""Local times of a time zone, including daylight saving, for arrays of times."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

__all__ = ["local_seconds"]

_QUARTER = 900
"""Seconds; UTC offsets change only at full quarters of an hour."""

_CHUNK = 10 * 86_400
"""Seconds; a UTC offset changes at most once within such a period."""

_LATEST = 253_402_214_400
"""9999-12-31T00:00:00Z, the last day that datetime supports."""


def local_seconds(times: Integers, time_zone: str) -> Integers:
    """Return local times of a time zone, in seconds since 1970-01-01T00:00:00 local time, shape ``(n,)``.

    Parameters
    ----------
    times
        Seconds since 1970-01-01T00:00:00Z, shape ``(n,)``, int64.
    time_zone
        IANA name, like ``Europe/Zurich``.

    Examples
    --------
    >>> summer = np.array([1_750_000_000])
    >>> (local_seconds(summer, "Europe/Zurich") - summer).tolist()
    [7200]
    """
    if time_zone == "UTC":
        return times
    local = times.copy()
    chunk = times // _CHUNK
    for number in np.unique(chunk).tolist():
        own = chunk == number
        before, change, after = _offsets(time_zone, number)
        local[own] += np.where(times[own] < change, before, after)
    return local


@cache
def _offsets(time_zone: str, chunk: int) -> tuple[int, int, int]:
    """Return the UTC offset at the start of a chunk, the time of its change, and the offset at the end, in seconds."""
    zone = ZoneInfo(time_zone)

    def offset(quarter: int) -> int:
        second = min(max(quarter * _QUARTER, 0), _LATEST)
        difference = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
        return 0 if difference is None else int(difference.total_seconds())

    first, last = chunk * _CHUNK // _QUARTER, (chunk + 1) * _CHUNK // _QUARTER
    before, after = offset(first), offset(last - 1)
    if before == after:
        return before, last * _QUARTER, after
    changed = bisect_left(range(first, last), True, key=lambda quarter: offset(quarter) != before)
    return before, (first + changed) * _QUARTER, after
