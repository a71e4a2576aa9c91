"""Clocks that tests turn."""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["FakeClock", "FakeSeconds"]


class FakeClock:
    """Stands still until a test turns it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class FakeSeconds:
    """A monotonic clock in seconds, and the sleep that belongs to it: sleeping takes no time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.seconds += seconds
