"""Go back to an older version of a shard's models, by moving the pointer; nothing is stored or deleted."""

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
    """What was done: the versions before and after, equal where there was nothing to do, and the sensors they have."""

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
    """Make an older version of a shard's models the current one, and record what that means for its sensors.

    Doing it again changes nothing where ``to`` is given. Training goes on from there: sensors with windows newer than
    their model get a new one with the next run.

    Parameters
    ----------
    shard
        The shard.
    to
        The version; None: the newest one before the current one that can be read.
    store, registry
        Where sensors and models are.

    Raises
    ------
    NotFoundError
        There is no such version, or none before the current one.
    CorruptModelError
        The version is damaged: nothing is changed.
    ConflictError
        A training moved the pointer at this moment.
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
        raise ConflictError(f"shard {shard}: a training moved the pointer at this moment; look and try again")
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
