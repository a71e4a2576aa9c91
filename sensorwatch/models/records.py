"""References to model versions."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ModelRef"]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Reference to an immutable version of a shard's models.

    Attributes
    ----------
    shard
        Number of the shard.
    version
        Name of the version, such as ``20261120T100000Z-0123456789abcdef``. Names sort by time of training.
    """

    shard: int
    version: str
