"""The current time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


__all__ = [
    "Clock",
]


class Clock(Protocol):
    """The only source of the current time."""

    def __call__(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...
