"""Rate of a counter, from its values at earlier requests."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["RateMeter"]

_KEPT_SECONDS = 120.0
_SHORTEST_SECONDS = 1.0


class RateMeter:
    """Rate of a counter over the last one to two minutes; safe to share between threads.

    The counter is in the database, so it is the same in all processes of the app. Each process remembers only the
    values that it has seen itself.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, int]] = deque()
        self._lock = Lock()

    def rate(self, now: datetime, count: int) -> float | None:
        """Record the value of the counter and return its rate per second; None during the first second."""
        with self._lock:
            while self._seen and (
                (now - self._seen[0][0]).total_seconds() > _KEPT_SECONDS or self._seen[-1][1] > count
            ):
                self._seen.popleft()
            if not self._seen or (now - self._seen[-1][0]).total_seconds() >= _SHORTEST_SECONDS:
                self._seen.append((now, count))
            first, before = self._seen[0]
            passed = (now - first).total_seconds()
            return None if passed < _SHORTEST_SECONDS else (count - before) / passed
