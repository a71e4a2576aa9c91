"""Past task counts for autoscale formulas, as samples every 30 s."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SAMPLE_PERIOD", "History"]

SAMPLE_PERIOD = timedelta(seconds=30)
_MAX_CHANGES = 20_000
_MAX_SAMPLES = 20_160  # a week, the longest interval that Batch allows between evaluations


class History:
    """The past of a number that changes at certain times, read as equally spaced samples.

    Parameters
    ----------
    clock
        Monotonic clock, in seconds.
    time_scale
        Seconds of the clock that stand for one second of a formula; below 1, time in formulas passes faster.
    value
        Initial value.
    """

    def __init__(self, clock: Callable[[], float], time_scale: float, value: float = 0.0) -> None:
        self._clock = clock
        self._period_seconds = SAMPLE_PERIOD.total_seconds() * time_scale
        self._since = clock()
        self._changes: deque[tuple[float, float]] = deque([(self._since, value)], maxlen=_MAX_CHANGES)

    def record(self, value: float) -> None:
        """Record the value that the number has from now on."""
        if value != self._changes[-1][1]:
            self._changes.append((self._clock(), value))

    def latest(self, count: int) -> list[float]:
        """Return up to ``count`` samples, newest first; at least one exists."""
        now = self._clock()
        taken = int((now - self._since) / self._period_seconds) + 1
        samples: list[float] = []
        changes = iter(reversed(self._changes))
        moment, value = next(changes)
        for index in range(min(count, taken, _MAX_SAMPLES)):
            at = now - index * self._period_seconds
            while moment > at:
                moment, value = next(changes, (at, value))
            samples.append(value)
        return samples

    def within(self, interval: timedelta) -> list[float]:
        """Return the samples of the last ``interval`` (formula time), newest first."""
        return self.latest(_expected(interval))

    def percent(self, interval: timedelta) -> float:
        """Return the percentage of the last ``interval`` (formula time) that has samples (0-100)."""
        expected = _expected(interval)
        return 100.0 * len(self.latest(expected)) / expected


def _expected(interval: timedelta) -> int:
    return max(1, min(_MAX_SAMPLES, int(interval / SAMPLE_PERIOD)))
