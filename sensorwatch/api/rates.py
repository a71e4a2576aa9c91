"""How fast a counter rises, from what it showed when it was looked at."""

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
    """The rate of a counter over the last minute or two; safe to share between threads.

    The counter is the database's, so it is right in each process of the app; each remembers only its own looks at it.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, int]] = deque()
        self._lock = Lock()

    def rate(self, now: datetime, count: int) -> float | None:
        """Note what the counter shows; return its rise per second, None until it has been seen for a second."""
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
