"""The deciders by name: a new one is a file of its own and a line here."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from sensorwatch.realtime.combiners.base import NOBODY, Answers, Decider
from sensorwatch.realtime.combiners.confidence import Confidence
from sensorwatch.realtime.combiners.first import First
from sensorwatch.realtime.combiners.vote import Vote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NOBODY", "Answers", "Decider", "deciders"]

_DECIDERS: tuple[Decider, ...] = (
    Vote("majority", weighted=False),
    Vote("weighted", weighted=True),
    First(),
    Confidence(),
)


def deciders() -> Mapping[str, Decider]:
    """Return every decider by its name."""
    return MappingProxyType({each.name: each for each in _DECIDERS})
