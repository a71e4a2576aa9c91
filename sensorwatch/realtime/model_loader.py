"""Loading of served models: when a shard is first requested, and when its pointer moves.

One thread polls the pointers by their ETags. It loads and validates a new version, then replaces the models by a single
assignment, so a batch that is being scored finishes with the version that it began with. An unusable version is
refused with a reason, and the previous one stays in use.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from sensorwatch.errors import SensorwatchError, TransientError
from sensorwatch.models.current import load_current
from sensorwatch.realtime.records import RefusedVersion
from sensorwatch.realtime.served_models import ServedModels, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pyarrow as pa

    from sensorwatch.clock import Clock
    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.models.ports import WatchedRegistry
    from sensorwatch.models.records import ModelRef
    from sensorwatch.realtime.ports import ServingStore

__all__ = ["ModelLoader", "Shard"]

_log = logging.getLogger(__name__)

Shard = tuple[str, int]
"""Name of a model, and number of a shard."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """ETag of a shard's pointer at the last poll, and its models in use."""

    etag: str
    models: pa.Table | None


class ModelLoader:
    """Current models of the requested shards; safe to share between threads.

    Parameters
    ----------
    registry
        Function from a model's name to its registry.
    store
        Store of refused versions.
    policy
        Stored estimators that may be loaded.
    clock
        Current time (UTC).
    """

    def __init__(
        self,
        registry: Callable[[str], WatchedRegistry],
        store: ServingStore,
        policy: EstimatorPolicy,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._store = store
        self._policy = policy
        self._clock = clock
        self._shards: dict[Shard, _Loaded | None] = {}
        self._current: Mapping[str, ServedModels] = MappingProxyType({})
        self._changed = threading.Condition()
        self._refreshing = threading.Lock()
        self._refused: dict[Shard, str] = {}

    @property
    def current(self) -> Mapping[str, ServedModels]:
        """Models in use, by name; an immutable snapshot."""
        return self._current

    def request(self, shards: Collection[Shard], wait_seconds: float = 0.0) -> None:
        """Load and poll shards from now on.

        Wait up to ``wait_seconds`` until each shard has been polled once.
        """
        with self._changed:
            new = [shard for shard in shards if shard not in self._shards]
            if new:
                self._shards = {**self._shards, **dict.fromkeys(new)}
                self._changed.notify_all()
            if wait_seconds and any(self._shards[shard] is None for shard in shards):
                self._changed.wait_for(lambda: all(self._shards[shard] for shard in shards), wait_seconds)

    def wait_for_request(self, seconds: float) -> None:
        """Wait until a shard is requested that has not been polled yet, at most ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: any(loaded is None for loaded in self._shards.values()), seconds)

    def refresh(self) -> int:
        """Poll every pointer, load the versions that changed, and return the number of shards that were replaced."""
        with self._refreshing:
            found: dict[Shard, _Loaded] = {}
            swapped = 0
            for shard, loaded in self._shards.items():
                try:
                    polled = self._poll(shard, loaded)
                except TransientError as exc:
                    _log.warning("model %s, shard %d: cannot be read now, trying again later: %s", *shard, exc)
                    polled = loaded or _Loaded("", None)
                if polled is loaded:
                    continue
                found[shard] = polled
                swapped += polled.models is not (loaded.models if loaded else None)
            if found:
                self._put_in_use(found, swapped)
            return swapped

    def _put_in_use(self, found: Mapping[Shard, _Loaded], swapped: int) -> None:
        shards = {**self._shards, **found}
        current = dict(self._current)
        if swapped:
            for name in {name for name, _ in found}:
                loaded = (each.models for (model, _), each in shards.items() if model == name and each)
                tables = [table for table in loaded if table is not None]
                current[name] = ServedModels.of(tables, self._policy)
        with self._changed:
            self._current = MappingProxyType(current)
            self._shards = {**self._shards, **found}
            self._changed.notify_all()

    def _poll(self, shard: Shard, loaded: _Loaded | None) -> _Loaded:
        """Return the current state of a shard; ``loaded`` itself if nothing changed."""
        name, number = shard
        registry = self._registry(name)
        previous = loaded.models if loaded else None
        etag = loaded.etag if loaded else ""
        ref: ModelRef | None = None
        try:
            pointer = registry.pointer(number, etag)
            if pointer is None:
                return loaded or _Loaded("", None)
            ref, etag = pointer.ref, pointer.etag
            if ref is None:
                return _Loaded("", previous)
            began = time.perf_counter()
            models = registry.load(ref)
            validate(models, self._policy)
        except TransientError:
            raise
        except Exception as exc:  # noqa: BLE001 - reading damaged models can raise any error
            return self._refuse(shard, ref, _Loaded(etag, previous), exc)
        _log.info(
            "model %s, shard %d: version %s is in use, loaded in %.0f ms",
            *(name, number, ref.version, 1e3 * (time.perf_counter() - began)),
        )
        self._refused.pop(shard, None)
        self._store.accept_version(name, number)
        return _Loaded(etag, models)

    def _refuse(self, shard: Shard, ref: ModelRef | None, previous: _Loaded, reason: Exception) -> _Loaded:
        name, number = shard
        version = ref.version if ref else ""
        text = str(reason) if isinstance(reason, SensorwatchError) else f"{type(reason).__name__}: {reason}"
        if self._refused.get(shard) == text:
            return previous
        self._refused[shard] = text
        _log.error("model %s, shard %d: version %s is refused: %s", name, number, version or "?", text)
        self._store.refuse_version(RefusedVersion(name, number, version, text, self._clock()))
        if previous.models is not None or ref is None:
            return previous
        # After a start no version is in use yet, and an older valid version is better than none.
        older = load_current(self._registry(name), number)
        if older.models is None or older.loaded == ref:
            return previous
        try:
            validate(older.models, self._policy)
        except SensorwatchError as exc:
            _log.warning("model %s, shard %d: the version before it is refused as well: %s", name, number, exc)
            return previous
        return _Loaded(previous.etag, older.models)
