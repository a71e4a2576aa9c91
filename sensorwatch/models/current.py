"""The current models of a shard, or the newest older version that can be read."""

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
        The version that the pointer names; None if nothing was trained yet.
    loaded
        The version of ``models``: ``pointer`` or an older one. None if none can be read.
    models
        The model table (:mod:`sensorwatch.models.table`); None if none can be read.
    problem
        Reason why ``loaded`` is not ``pointer``; empty if it is.
    """

    pointer: ModelRef | None
    loaded: ModelRef | None
    models: pa.Table | None
    problem: str


def load_current(registry: ModelRegistry, shard: int) -> CurrentModels:
    """Load the current models of a shard; if they are damaged or missing, the newest older version that is not."""
    pointer = registry.current(shard)
    if pointer is None:
        return CurrentModels(None, None, None, "")
    try:
        return CurrentModels(pointer, pointer, registry.load(pointer), "")
    except (CorruptModelError, NotFoundError) as exc:
        problem = str(exc)
    _log.error("shard %d: the current models can't be read, trying older versions: %s", shard, problem)
    for ref in registry.versions(shard):
        if ref.version < pointer.version:
            try:
                return CurrentModels(pointer, ref, registry.load(ref), problem)
            except (CorruptModelError, NotFoundError) as exc:
                _log.warning("shard %d: version %s can't be read either: %s", shard, ref.version, exc)
    return CurrentModels(pointer, None, None, problem)
