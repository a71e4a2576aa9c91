"""Records of predictive maintenance: machines, and the risks of their components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["MachineInfo", "MachineRisk", "RiskReason"]


class MachineInfo(NamedTuple):
    """Machine; ``age`` is in years."""

    machine_id: int
    model: str
    age: float


class RiskReason(NamedTuple):
    """Reason for a high risk: its subject, a text, and the increase of the log odds."""

    about: str
    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class MachineRisk:
    """Probability that a component of a machine fails within the model's horizon after ``end``.

    ``end`` is the time of the sample in seconds since 1970-01-01T00:00:00Z, ``risk`` the probability, ``threshold`` the
    lowest risk at which it ``warns`` (None if the most likely class wins).
    """

    machine_id: int
    component: str
    end: int
    risk: float
    threshold: float | None
    warns: bool
    reasons: tuple[RiskReason, ...]
    model_version: str
