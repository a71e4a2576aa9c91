"""Rollback to an older version of a shard's models: the pointer moves, nothing is stored or deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sensorwatch.errors import ConflictError, NotFoundError
from sensorwatch.models.records import ModelRef
from sensorwatch.models.training.outcomes import record_outcomes

if TYPE_CHECKING:
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.sensors.ports import SensorStore

__all__ = ["Rollback", "roll_back"]


@dataclass(frozen=True, slots=True)
class Rollback:
    """Result of a rollback.

    Attributes
    ----------
    shard
        Number of the shard.
    before
        Version before the rollback; None if no models were in use.
    after
        Version in use now; equal to ``before`` if nothing was to do.
    sensors
        Number of sensors in the version.
    """

    shard: int
    before: str | None
    after: str
    sensors: int

    def __str__(self) -> str:
        """Return it as a sentence."""
        if self.before == self.after:
            return f"shard {self.shard} is at {self.after} already"
        return f"shard {self.shard}: went from {self.before or 'no models'} to {self.after} ({self.sensors} sensors)"


def roll_back(shard: int, to: str | None, *, store: SensorStore, registry: ModelRegistry) -> Rollback:
    """Make an older version of a shard's models the current one and record the new states of its sensors.

    With ``to``, repeating the call changes nothing. The next run trains the sensors that have windows newer than their
    model.

    Parameters
    ----------
    shard
        Number of the shard.
    to
        Name of the version; None: the newest one before the current one.
    store
        Destination of the sensors' states.
    registry
        Registry of the models.

    Raises
    ------
    NotFoundError
        There is no such version, or none before the current one.
    CorruptModelError
        The version is damaged; nothing was changed.
    ConflictError
        A training task moved the pointer at the same time.
    """
    current = registry.current(shard)
    versions = registry.versions(shard)
    target = _older(current, versions) if to is None else ModelRef(shard, to)
    if target not in versions:
        known = ", ".join(ref.version for ref in versions[:3]) or "none"
        raise NotFoundError(f"shard {shard} has no version `{target.version}`; its newest are: {known}")
    models = registry.load(target)
    registry.point(target, current)
    if registry.current(shard) != target:
        raise ConflictError(
            f"shard {shard}: a training task moved the pointer at the same time; check the versions and try again"
        )
    record_outcomes(store, store.sensors(shard), models)
    before = None if current is None else current.version
    return Rollback(shard, before, target.version, models.num_rows)


def _older(current: ModelRef | None, versions: list[ModelRef]) -> ModelRef:
    if current is None:
        raise NotFoundError("the shard has no models; name a version with --to to point at one")
    older = [ref for ref in versions if ref.version < current.version]
    if not older:
        raise NotFoundError(f"shard {current.shard} has no version before {current.version}")
    return older[0]
