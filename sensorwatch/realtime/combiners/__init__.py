"""Combiners by name; a new combiner is a file of its own and a line here."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from sensorwatch.realtime.combiners.base import NO_WINNER, Answers, Combiner
from sensorwatch.realtime.combiners.confidence import Confidence
from sensorwatch.realtime.combiners.first import First
from sensorwatch.realtime.combiners.vote import Vote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_WINNER", "Answers", "Combiner", "combiners"]

_COMBINERS: tuple[Combiner, ...] = (
    Vote("majority", weighted=False),
    Vote("weighted", weighted=True),
    First(),
    Confidence(),
)


def combiners() -> Mapping[str, Combiner]:
    """Return all combiners by name."""
    return MappingProxyType({each.name: each for each in _COMBINERS})
