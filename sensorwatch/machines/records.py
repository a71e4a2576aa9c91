"""Machines of predictive maintenance, and the risks that their components fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["MachineInfo", "MachineRisk", "RiskReason"]


class MachineInfo(NamedTuple):
    """A machine; ``age`` is in years."""

    machine_id: int
    model: str
    age: float


class RiskReason(NamedTuple):
    """One thing that makes a risk high: what it is about, in words, and by how much it raises the log odds."""

    about: str
    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class MachineRisk:
    """How likely a component of a machine fails within the model's horizon after ``end``.

    ``end`` is the sample's time in seconds since 1970-01-01T00:00:00Z, ``risk`` a probability, ``threshold`` that from
    which it ``warns`` (None: the model decides by the likeliest class).
    """

    machine_id: int
    component: str
    end: int
    risk: float
    threshold: float | None
    warns: bool
    reasons: tuple[RiskReason, ...]
    model_version: str
