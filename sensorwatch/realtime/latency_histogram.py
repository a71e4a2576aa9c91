"""Histogram of durations that can be added up and stored.

Bins grow by 10 % from 10 µs on, so a quantile is at most 10 % above the true one.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["LatencyHistogram"]

_FIRST_SECONDS = 1e-5
_GROWTH = math.log(1.1)


@dataclass(slots=True)
class LatencyHistogram:
    """Histogram of durations in seconds, with their sum and maximum.

    Attributes
    ----------
    bins
        Number of durations by bin: bin ``i`` ends at ``1e-5 * 1.1**i`` s, inclusive, up to rounding.
    total
        Sum of the durations, in seconds.
    longest
        Longest duration, in seconds.
    """

    bins: Counter[int] = field(default_factory=Counter)
    total: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        """Add a duration."""
        self.bins[_bin(seconds)] += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)

    def update(self, other: LatencyHistogram) -> None:
        """Add all durations of another histogram."""
        self.bins.update(other.bins)
        self.total += other.total
        self.longest = max(self.longest, other.longest)

    @property
    def count(self) -> int:
        """Number of durations."""
        return self.bins.total()

    @property
    def mean(self) -> float | None:
        """Mean in seconds; None without durations."""
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Return the duration in seconds that this share of durations does not exceed; None without durations.

        Examples
        --------
        >>> latencies = LatencyHistogram()
        >>> for milliseconds in range(1, 101):
        ...     latencies.add(milliseconds / 1000)
        >>> round(latencies.quantile(0.5), 3), latencies.quantile(1.0)
        (0.053, 0.1)
        """
        wanted, seen = share * self.count, 0
        for number in sorted(self.bins):
            seen += self.bins[number]
            if seen >= wanted:
                return min(_FIRST_SECONDS * math.exp(_GROWTH * number), self.longest)
        return None


def _bin(seconds: float) -> int:
    return math.ceil(math.log(seconds / _FIRST_SECONDS) / _GROWTH) if seconds > _FIRST_SECONDS else 0
