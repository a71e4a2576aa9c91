"""The models in use of a shard, or the last ones before them that can be read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sensorwatch.errors import CorruptModelError, NotFoundError

if TYPE_CHECKING:
    import pyarrow as pa

    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.records import ModelRef

__all__ = ["CurrentModels", "load_current"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CurrentModels:
    """Models of a shard.

    Attributes
    ----------
    pointer
        The version that is marked as current; None where nothing was trained yet.
    loaded
        The version that the models are from: ``pointer`` or an older one. None where none can be read.
    models
        The models; None where none can be read.
    problem
        Why ``loaded`` is not ``pointer``; empty when it is.
    """

    pointer: ModelRef | None
    loaded: ModelRef | None
    models: pa.Table | None
    problem: str


def load_current(registry: ModelRegistry, shard: int) -> CurrentModels:
    """Load the current models; where they are damaged or gone, the newest older version that is not."""
    pointer = registry.current(shard)
    if pointer is None:
        return CurrentModels(None, None, None, "")
    try:
        return CurrentModels(pointer, pointer, registry.load(pointer), "")
    except (CorruptModelError, NotFoundError) as exc:
        problem = str(exc)
    _log.error("shard %d: the current models can't be used, looking for older ones: %s", shard, problem)
    for ref in registry.versions(shard):
        if ref.version < pointer.version:
            try:
                return CurrentModels(pointer, ref, registry.load(ref), problem)
            except (CorruptModelError, NotFoundError) as exc:
                _log.warning("shard %d: nor can version %s: %s", shard, ref.version, exc)
    return CurrentModels(pointer, None, None, problem)
