"""Clocks on the wall: what a sensor's surroundings go by, daylight saving included."""

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
"""Seconds; clocks are changed at full quarters of an hour."""

_CHUNK = 10 * 86_400
"""Seconds; clocks are changed at most once within them."""

_LATEST = 253_402_214_400
"""9999-12-31T00:00:00Z; beyond that there is no time."""


def local_seconds(times: Integers, time_zone: str) -> Integers:
    """Return what the clocks of a time zone show, in seconds since they showed 1970-01-01T00:00:00.

    Parameters
    ----------
    times
        Seconds since 1970-01-01T00:00:00Z.
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
        before, change, behind = _offsets(time_zone, number)
        local[own] += np.where(times[own] < change, before, behind)
    return local


@cache
def _offsets(time_zone: str, chunk: int) -> tuple[int, int, int]:
    """Return the offset at the chunk's beginning, when it changes, and the offset at its end; in seconds."""
    zone = ZoneInfo(time_zone)

    def offset(quarter: int) -> int:
        second = min(max(quarter * _QUARTER, 0), _LATEST)
        difference = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
        return 0 if difference is None else int(difference.total_seconds())

    first, last = chunk * _CHUNK // _QUARTER, (chunk + 1) * _CHUNK // _QUARTER
    before, behind = offset(first), offset(last - 1)
    if before == behind:
        return before, last * _QUARTER, behind
    changed = bisect_left(range(first, last), True, key=lambda quarter: offset(quarter) != before)
    return before, (first + changed) * _QUARTER, behind
