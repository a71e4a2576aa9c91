"""The models that are served: loaded when a shard is first needed, swapped when its pointer moves.

One thread watches the pointers by their ETags. A new version is loaded and tried aside; then one assignment puts it in
use, so whoever scores at that moment goes on with what it has. A version that can't be used is refused, with the
reason, and the former one stays.
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
from sensorwatch.realtime.model_set import ServedModels, validate
from sensorwatch.realtime.records import RefusedVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pyarrow as pa

    from sensorwatch.clock import Clock
    from sensorwatch.config.detectors import EstimatorPolicy
    from sensorwatch.models.ports import WatchedRegistry
    from sensorwatch.models.records import ModelRef
    from sensorwatch.realtime.ports import ServingStore

__all__ = ["ModelsInUse", "Shard"]

_log = logging.getLogger(__name__)

Shard = tuple[str, int]
"""A set of models, by name, and a shard."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What is known of a shard: its pointer's ETag when it was last looked at, and the models in use."""

    etag: str
    models: pa.Table | None


class ModelsInUse:
    """The models of some shards of some sets; safe to share between threads.

    Parameters
    ----------
    registry
        Gives a set's registry by its name.
    store
        Where it is noted which versions are refused.
    policy
        Which stored estimators may be loaded.
    clock
        The current time.
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
        """The models in use, by set; what is returned never changes."""
        return self._current

    def want(self, shards: Collection[Shard], wait_seconds: float = 0.0) -> None:
        """Ask for shards from now on, and wait at most so long until each was looked for once."""
        with self._changed:
            new = [shard for shard in shards if shard not in self._shards]
            if new:
                self._shards = {**self._shards, **dict.fromkeys(new)}
                self._changed.notify_all()
            if wait_seconds and any(self._shards[shard] is None for shard in shards):
                self._changed.wait_for(lambda: all(self._shards[shard] for shard in shards), wait_seconds)

    def wait_for_wish(self, seconds: float) -> None:
        """Return after so many seconds, or as soon as a shard is asked for that was not looked for yet."""
        with self._changed:
            self._changed.wait_for(lambda: any(loaded is None for loaded in self._shards.values()), seconds)

    def refresh(self) -> int:
        """Look at every pointer, load what has changed and put it in use; return how many shards were swapped."""
        with self._refreshing:
            found: dict[Shard, _Loaded] = {}
            swapped = 0
            for shard, loaded in self._shards.items():
                try:
                    looked = self._look(shard, loaded)
                except TransientError as exc:
                    _log.warning("models of %s, shard %d: looking again later: %s", *shard, exc)
                    looked = loaded or _Loaded("", None)
                if looked is loaded:
                    continue
                found[shard] = looked
                swapped += looked.models is not (loaded.models if loaded else None)
            if found:
                self._put_in_use(found, swapped)
            return swapped

    def _put_in_use(self, found: Mapping[Shard, _Loaded], swapped: int) -> None:
        shards = {**self._shards, **found}
        current = dict(self._current)
        if swapped:
            for name in {name for name, _ in found}:
                loaded = (each.models for (of, _), each in shards.items() if of == name and each)
                tables = [table for table in loaded if table is not None]
                current[name] = ServedModels.of(tables, self._policy)
        with self._changed:
            self._current = MappingProxyType(current)
            self._shards = {**self._shards, **found}
            self._changed.notify_all()

    def _look(self, shard: Shard, loaded: _Loaded | None) -> _Loaded:
        """Return what there is of a shard now; ``loaded`` itself where nothing has changed."""
        name, number = shard
        registry = self._registry(name)
        former = loaded.models if loaded else None
        etag = loaded.etag if loaded else ""
        ref: ModelRef | None = None
        try:
            pointer = registry.pointer(number, etag)
            if pointer is None:
                return loaded or _Loaded("", None)
            ref, etag = pointer.ref, pointer.etag
            if ref is None:
                return _Loaded("", former)
            began = time.perf_counter()
            models = registry.load(ref)
            validate(models, self._policy)
        except TransientError:
            raise
        except Exception as exc:  # noqa: BLE001 - damaged models may break anything in what reads them
            return self._refuse(shard, ref, _Loaded(etag, former), exc)
        _log.info(
            "models of %s, shard %d: version %s is in use, loaded in %.0f ms",
            *(name, number, ref.version, 1e3 * (time.perf_counter() - began)),
        )
        self._refused.pop(shard, None)
        self._store.accept_version(name, number)
        return _Loaded(etag, models)

    def _refuse(self, shard: Shard, ref: ModelRef | None, former: _Loaded, reason: Exception) -> _Loaded:
        name, number = shard
        version = ref.version if ref else ""
        text = str(reason) if isinstance(reason, SensorwatchError) else f"{type(reason).__name__}: {reason}"
        if self._refused.get(shard) == text:
            return former
        self._refused[shard] = text
        _log.error("models of %s, shard %d: version %s is refused: %s", name, number, version or "?", text)
        self._store.refuse_version(RefusedVersion(name, number, version, text, self._clock()))
        if former.models is not None or ref is None:
            return former
        # Nothing is in use yet, as after a start: an older version that is sound is better than none.
        older = load_current(self._registry(name), number)
        if older.models is None or older.loaded == ref:
            return former
        try:
            validate(older.models, self._policy)
        except SensorwatchError as exc:
            _log.warning("models of %s, shard %d: nor can the version before it be used: %s", name, number, exc)
            return former
        return _Loaded(former.etag, older.models)
