"""What autoscale formulas look back on: the number of tasks over time, as samples every 30 s."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SAMPLE_PERIOD", "History"]

SAMPLE_PERIOD = timedelta(seconds=30)
_MAX_CHANGES = 20_000
_MAX_SAMPLES = 20_160  # a week of them, the longest interval that Batch allows between evaluations


class History:
    """A number that changes at moments, read back as equally spaced samples.

    Parameters
    ----------
    clock
        Monotonic seconds.
    time_scale
        Seconds of the clock that stand for one second of a formula; below 1, the service hurries.
    value
        The number's first value, from now on.
    """

    def __init__(self, clock: Callable[[], float], time_scale: float, value: float = 0.0) -> None:
        self._clock = clock
        self._period_seconds = SAMPLE_PERIOD.total_seconds() * time_scale
        self._since = clock()
        self._changes: deque[tuple[float, float]] = deque([(self._since, value)], maxlen=_MAX_CHANGES)

    def record(self, value: float) -> None:
        """Take in the number's value from now on."""
        if value != self._changes[-1][1]:
            self._changes.append((self._clock(), value))

    def latest(self, count: int) -> list[float]:
        """Return up to ``count`` samples, newest first; there is always one."""
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
        """Return how much of the last ``interval`` (formula time) there are samples for: 0-100."""
        expected = _expected(interval)
        return 100.0 * len(self.latest(expected)) / expected


def _expected(interval: timedelta) -> int:
    return max(1, min(_MAX_SAMPLES, int(interval / SAMPLE_PERIOD)))
