"""Cached reading of model versions for pages and commands. A version never changes, so it is read once."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from sensorwatch.errors import CorruptModelError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.models.records import ModelRef

__all__ = ["ModelVersions", "ShardVersions"]

_KEPT_VERSIONS = 64
_KEPT_MODELS = 256
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ShardVersions:
    """The versions of a shard's models, newest first, and the one in use (None: none yet)."""

    shard: int
    current: ModelRef | None
    versions: tuple[ModelRef, ...]


class ModelVersions:
    """Reads model versions, several at the same time, and caches them; safe to share between threads.

    Parameters
    ----------
    registry
        Registry of the models.
    """

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._kept: OrderedDict[ModelRef, pa.Table] = OrderedDict()
        self._models: OrderedDict[tuple[ModelRef, int], pa.Table | None] = OrderedDict()
        self._lock = Lock()

    def of_shard(self, shard: int) -> ShardVersions:
        """Return a shard's versions, none if nothing was trained yet."""
        return ShardVersions(shard, self._registry.current(shard), tuple(self._registry.versions(shard)))

    def of_shards(self, shards: Sequence[int]) -> list[ShardVersions]:
        """Return the versions of several shards, in the order of ``shards``."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(self.of_shard, shards))

    def manifests(self, refs: Sequence[ModelRef]) -> list[dict[str, object]]:
        """Return the manifests of versions, in the order of ``refs``; an empty one if a manifest can't be read."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(self._manifest, refs))

    def sensor_rows(self, refs: Sequence[ModelRef], sensor_id: int) -> list[Mapping[str, Any] | None]:
        """Return a sensor's row of each version, in the order of ``refs``; None for a version without the sensor.

        A row has the columns of :data:`sensorwatch.models.table.MODEL_SCHEMA`, without parameters.
        """
        return [self._row(ref, sensor_id) for ref in refs]

    def sensor_model(self, ref: ModelRef, sensor_id: int) -> pa.Table | None:
        """Return a sensor's model in a version as a model table with one row; None if it has no model there."""
        import pyarrow.compute as pc

        from sensorwatch.models.table import has_model

        with self._lock:
            if (ref, sensor_id) in self._models:
                self._models.move_to_end((ref, sensor_id))
                return self._models[ref, sensor_id]
        try:
            table = self._registry.load(ref)
        except (CorruptModelError, NotFoundError):
            return None
        # `take` copies the row; a slice would keep the whole table in memory.
        table = table.take(pc.indices_nonzero(pc.equal(table["sensor_id"], sensor_id)))
        table = table.filter(has_model(table))
        model = table if table.num_rows else None
        with self._lock:
            self._models[ref, sensor_id] = model
            while len(self._models) > _KEPT_MODELS:
                self._models.popitem(last=False)
        return model

    def _row(self, ref: ModelRef, sensor_id: int) -> Mapping[str, Any] | None:
        import pyarrow.compute as pc

        try:
            table = self._described(ref)
        except (CorruptModelError, NotFoundError):
            return None
        found: list[dict[str, Any]] = table.filter(pc.equal(table["sensor_id"], sensor_id)).to_pylist()
        return found[0] if found else None

    def _described(self, ref: ModelRef) -> pa.Table:
        from sensorwatch.models.table import MODEL_SCHEMA

        with self._lock:
            if ref in self._kept:
                self._kept.move_to_end(ref)
                return self._kept[ref]
        table = self._registry.load(ref).select(MODEL_SCHEMA.names)
        with self._lock:
            self._kept[ref] = table
            while len(self._kept) > _KEPT_VERSIONS:
                self._kept.popitem(last=False)
        return table

    def _manifest(self, ref: ModelRef) -> dict[str, object]:
        try:
            return self._registry.manifest(ref)
        except (CorruptModelError, NotFoundError):
            return {}
