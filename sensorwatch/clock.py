"""The current time: a port that tests replace, and the real clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "utc_now"]


class Clock(Protocol):
    """The only source of the current time."""

    def __call__(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


def utc_now() -> datetime:
    """Return the time of this machine, aware, in UTC."""
    return datetime.now(UTC)
