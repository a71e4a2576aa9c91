"""What scoring in real time counts in one process until it is stored."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.realtime.latencies import Latencies
from sensorwatch.realtime.records import ModelUse, ServingCounts

if TYPE_CHECKING:
    from datetime import datetime

    from sensorwatch.ingestion.records import Partition

__all__ = ["ModelKey", "ServingStatistics"]


class ModelKey(NamedTuple):
    """A set of models by name, and one of the detectors in it: what is called as one."""

    model: str
    detector: str


@dataclass(slots=True)
class _Use:
    since: datetime
    version: str
    version_since: datetime
    uses: int = 0
    timeouts: int = 0
    failures: int = 0
    disagreements: int = 0
    latencies: Latencies = field(default_factory=Latencies)


class ServingStatistics:
    """Counts since they were taken last; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Partition, ServingCounts] = {}
        self._uses: dict[ModelKey, _Use] = {}
        self._versions: dict[ModelKey, tuple[str, datetime]] = {}

    def count(self, partition: Partition, counts: ServingCounts) -> None:
        """Add what became of a batch."""
        with self._lock:
            known = self._counts.get(partition, ServingCounts())
            self._counts[partition] = ServingCounts(*map(sum, zip(known, counts, strict=True)))

    def use(
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
        """Add what a model did in a call; ``seconds`` is how long that took, None while it is not done."""
        with self._lock:
            seen = self._versions.get(key)
            if seen is None or seen[0] != version:
                self._versions[key] = seen = (version, now)
            use = self._uses.get(key)
            if use is None:
                use = self._uses[key] = _Use(now, *seen)
            use.version, use.version_since = seen
            use.uses += uses
            use.timeouts += timeouts
            use.failures += failures
            use.disagreements += disagreements
            if seconds is not None:
                use.latencies.add(seconds)

    def late(self, key: ModelKey, seconds: float) -> None:
        """Add how long a call took that nobody waited for any more."""
        with self._lock:
            if key in self._uses:
                self._uses[key].latencies.add(seconds)
            elif key in self._versions:
                version, since = self._versions[key]
                self._uses[key] = use = _Use(since, version, since)
                use.latencies.add(seconds)

    def take(self) -> tuple[dict[Partition, ServingCounts], list[ModelUse]]:
        """Return what was counted, and begin anew."""
        with self._lock:
            counts, self._counts = self._counts, {}
            uses, self._uses = self._uses, {}
        return counts, [_record(key, use) for key, use in uses.items()]

    def put_back(self, counts: dict[Partition, ServingCounts], uses: list[ModelUse]) -> None:
        """Take in again what could not be stored."""
        for partition, each in counts.items():
            self.count(partition, each)
        with self._lock:
            for record in uses:
                key = ModelKey(record.model, record.detector)
                use = self._uses.get(key)
                if use is None:
                    use = self._uses[key] = _Use(record.since, record.version, record.version_since)
                use.since = min(use.since, record.since)
                use.uses += record.uses
                use.timeouts += record.timeouts
                use.failures += record.failures
                use.disagreements += record.disagreements
                use.latencies.bins.update(record.latencies)
                use.latencies.total += record.total_seconds
                use.latencies.longest = max(use.latencies.longest, record.longest_seconds)


def _record(key: ModelKey, use: _Use) -> ModelUse:
    latencies = use.latencies
    return ModelUse(
        model=key.model,
        detector=key.detector,
        since=use.since,
        version=use.version,
        version_since=use.version_since,
        uses=use.uses,
        timeouts=use.timeouts,
        failures=use.failures,
        disagreements=use.disagreements,
        calls=latencies.count,
        latencies=dict(latencies.bins),
        total_seconds=latencies.total,
        longest_seconds=latencies.longest,
    )
