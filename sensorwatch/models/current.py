"""The current models of a shard: loading, with a fall back to older versions, and replacing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sensorwatch.errors import ConflictError, CorruptModelError, NotFoundError
from sensorwatch.models.table import with_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.records import ModelRef

__all__ = ["CurrentModels", "load_current", "replace_current"]

_PUBLISH_TRIES = 5

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


def replace_current(
    registry: ModelRegistry,
    shard: int,
    current: CurrentModels,
    merged: Callable[[CurrentModels], pa.Table],
    manifest: Callable[[CurrentModels, pa.Table], Mapping[str, object]],
) -> tuple[ModelRef, pa.Table]:
    """Publish merged models of a shard if they differ from the current ones, and merge again after a conflict.

    Parameters
    ----------
    registry
        Registry of the models.
    shard
        Number of the shard.
    current
        Its current models.
    merged
        Returns the model table to publish, merged with the given current models.
    manifest
        Returns the manifest of that table.

    Returns
    -------
    tuple
        The version in use now, and its model table with versions filled in.

    Raises
    ------
    ConflictError
        Other writers published models during each of five tries.
    """
    for _ in range(_PUBLISH_TRIES):
        models = merged(current)
        if current.pointer is not None and not current.problem and models.equals(current.models):
            return current.pointer, models
        try:
            ref = registry.publish(shard, models, manifest(current, models), current.pointer)
        except ConflictError as exc:
            _log.warning("shard %d: another writer published models, merging again: %s", shard, exc)
            current = load_current(registry, shard)
        else:
            return ref, with_version(models, ref.version)
    raise ConflictError(
        f"shard {shard}: other writers published models during each of {_PUBLISH_TRIES} tries; try again later"
    )
