"""Models, and what training says of the sensors."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ModelRef"]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """An immutable version of a shard's models; ``version`` sorts by time of training."""

    shard: int
    version: str
