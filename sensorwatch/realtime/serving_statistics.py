"""Statistics of real-time scoring in one process, collected until they are stored."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.realtime.records import ModelUse, ServingCounts

if TYPE_CHECKING:
    from datetime import datetime

    from sensorwatch.ingestion.records import Partition

__all__ = ["ModelKey", "ServingStatistics"]


class ModelKey(NamedTuple):
    """Name of a model and of one of its detectors, which are called together."""

    model: str
    detector: str


class ServingStatistics:
    """Counts since the last :meth:`take`; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Partition, ServingCounts] = {}
        self._uses: dict[ModelKey, ModelUse] = {}
        self._versions: dict[ModelKey, tuple[str, datetime]] = {}

    def count(self, partition: Partition, counts: ServingCounts) -> None:
        """Add the counts of a batch of events."""
        with self._lock:
            known = self._counts.get(partition, ServingCounts())
            self._counts[partition] = ServingCounts(*map(sum, zip(known, counts, strict=True)))

    def record_call(
        self,
        key: ModelKey,
        version: str,
        now: datetime,
        *,
        uses: int = 0,
        timeouts: int = 0,
        failures: int = 0,
        disagreements: int = 0,
        seconds: float | None = None,
    ) -> None:
        """Add the result of a call, which scored a batch of windows.

        Parameters
        ----------
        key
            Model and detector that were called.
        version
            Newest version of the model.
        now
            Current time (UTC).
        uses, timeouts, failures, disagreements
            Numbers of windows, as in :class:`~sensorwatch.realtime.records.ModelUse`.
        seconds
            Duration of the call; None if it has not ended, then :meth:`record_late_call` adds it.
        """
        with self._lock:
            seen = self._versions.get(key)
            if seen is None or seen[0] != version:
                self._versions[key] = seen = (version, now)
            use = self._uses.get(key)
            if use is None:
                use = self._uses[key] = ModelUse(*key, now, *seen)
            use.version, use.version_since = seen
            use.uses += uses
            use.timeouts += timeouts
            use.failures += failures
            use.disagreements += disagreements
            if seconds is not None:
                use.latencies.add(seconds)

    def record_late_call(self, key: ModelKey, seconds: float) -> None:
        """Add the duration of a call that ended after it was abandoned."""
        with self._lock:
            if key not in self._versions:
                return
            if key not in self._uses:
                version, since = self._versions[key]
                self._uses[key] = ModelUse(*key, since, version, since)
            self._uses[key].latencies.add(seconds)

    def take(self) -> tuple[dict[Partition, ServingCounts], list[ModelUse]]:
        """Return all counts, and reset them to zero."""
        with self._lock:
            counts, self._counts = self._counts, {}
            uses, self._uses = self._uses, {}
        return counts, list(uses.values())

    def put_back(self, counts: dict[Partition, ServingCounts], uses: list[ModelUse]) -> None:
        """Add counts again that :meth:`take` returned and that could not be stored."""
        for partition, each in counts.items():
            self.count(partition, each)
        with self._lock:
            for taken in uses:
                key = ModelKey(taken.model, taken.detector)
                if key in self._uses:
                    taken.add(self._uses[key])
                self._uses[key] = taken
