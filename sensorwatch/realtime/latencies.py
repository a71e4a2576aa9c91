"""How long things took, as a histogram that can be added up and stored.

Bins grow by a tenth from 10 µs on, so a quantile is at most a tenth above the true one.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Latencies"]

_FIRST = 1e-5
_GROWTH = math.log(1.1)


@dataclass(slots=True)
class Latencies:
    """Durations in seconds.

    Attributes
    ----------
    bins
        Number of durations by bin: bin ``i`` ends at ``1e-5 * 1.1**i``, inclusive, up to rounding.
    total, longest
        Their sum, and the longest of them.
    """

    bins: Counter[int] = field(default_factory=Counter)
    total: float = 0.0
    longest: float = 0.0

    @classmethod
    def of(cls, bins: Mapping[int, int], total: float, longest: float) -> Latencies:
        """Return latencies that were stored."""
        return cls(Counter(bins), total, longest)

    def add(self, seconds: float, times: int = 1) -> None:
        """Take in a duration, so many times."""
        self.bins[_bin(seconds)] += times
        self.total += seconds * times
        self.longest = max(self.longest, seconds)

    @property
    def count(self) -> int:
        """Number of durations."""
        return self.bins.total()

    @property
    def mean(self) -> float | None:
        """Mean in seconds; None without durations."""
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Return the duration that this share of them did not exceed; None without durations.

        Examples
        --------
        >>> latencies = Latencies()
        >>> for milliseconds in range(1, 101):
        ...     latencies.add(milliseconds / 1000)
        >>> round(latencies.quantile(0.5), 3), latencies.quantile(1.0)
        (0.051, 0.1)
        """
        wanted, seen = share * self.count, 0
        for place in sorted(self.bins):
            seen += self.bins[place]
            if seen >= wanted:
                return min(_FIRST * math.exp(_GROWTH * place), self.longest)
        return None


def _bin(seconds: float) -> int:
    return math.ceil(math.log(seconds / _FIRST) / _GROWTH) if seconds > _FIRST else 0
