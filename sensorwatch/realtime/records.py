"""Records of real-time scoring: scored windows, answers of models, counts and model statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sensorwatch.realtime.latency_histogram import LatencyHistogram

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sensorwatch.ingestion.records import Partition

__all__ = [
    "ANOMALOUS_SCORE",
    "ModelAnswer",
    "ModelUse",
    "RefusedVersion",
    "ServedWindow",
    "ServingCounts",
    "ServingStatus",
]

ANOMALOUS_SCORE = 50.0
"""Lowest score of an anomalous window."""


class ServingCounts(NamedTuple):
    """Number of readings by outcome; ``received`` is the sum of the other counts.

    Attributes
    ----------
    received
        All readings.
    scored
        Readings whose window was scored with them.
    not_in_time
        Readings whose window has no score because every model missed the deadline.
    without_model
        Readings whose sensor has no model yet, or whose models gave no score.
    late
        Readings older than their sensor's open window; batch scoring covers them.
    duplicate
        Readings of events that had been scored before.
    invalid
        Readings that cannot be decoded.
    """

    received: int = 0
    scored: int = 0
    not_in_time: int = 0
    without_model: int = 0
    late: int = 0
    duplicate: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class ServingStatus:
    """Total counts of a partition, and the time of its last update (UTC)."""

    partition: Partition
    counts: ServingCounts
    updated: datetime


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """Answer of one model for a window: a score of 0-100 (anomalous from 50), its version, and its duration."""

    score: float
    version: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ServedWindow:
    """Score of a window in real time, kept if at least one model found it anomalous.

    A window is scored again with every batch that adds readings to it, so it can have several records.

    Attributes
    ----------
    sensor_id
        Sensor of the window.
    end
        End of the window, inclusive, in seconds since 1970-01-01T00:00:00Z.
    readings, value
        Number and mean of the readings that were scored.
    score
        Score of the winner, 0-100, anomalous from 50.
    winner
        Name of the model whose answer counts.
    combiner
        Name of the combiner that chose it.
    model_version
        Version of the winner.
    answers
        Answers by model name; None for a model that missed the deadline.
    scored_at
        Time of scoring (UTC).
    """

    sensor_id: int
    end: int
    readings: int
    value: float
    score: float
    winner: str
    combiner: str
    model_version: str
    answers: Mapping[str, ModelAnswer | None]
    scored_at: datetime

    @property
    def anomalous(self) -> bool:
        """True if the window is anomalous, for now."""
        return self.score >= ANOMALOUS_SCORE

    @property
    def models_disagree(self) -> bool:
        """True if some of the models that answered found the window anomalous, and some normal."""
        return len({each.score >= ANOMALOUS_SCORE for each in self.answers.values() if each}) > 1


@dataclass(slots=True)
class ModelUse:
    """Statistics of one detector of a model; times are in UTC.

    A window counts as often as it is scored.

    Attributes
    ----------
    model
        ``own`` for the primary model, or the name of a challenger in ``sensorwatch.yaml``.
    detector
        Name of the detector.
    since
        Time of the first use.
    version, version_since
        Newest version in use, and the time of its first use.
    uses
        Number of windows scored within the deadline.
    timeouts, failures
        Number of windows whose call missed the deadline, and whose call failed.
    disagreements
        Number of answers that differ from the combined one in being anomalous or normal.
    latencies
        Durations of the calls; one call scores a batch of windows.
    """

    model: str
    detector: str
    since: datetime
    version: str
    version_since: datetime
    uses: int = 0
    timeouts: int = 0
    failures: int = 0
    disagreements: int = 0
    latencies: LatencyHistogram = field(default_factory=LatencyHistogram)

    def add(self, other: ModelUse) -> None:
        """Add the statistics of the same model from another period or process.

        The newest version wins; the first process to use it decides its ``version_since``.
        """
        if other.version > self.version or (other.version == self.version and other.version_since < self.version_since):
            self.version, self.version_since = other.version, other.version_since
        self.since = min(self.since, other.since)
        self.uses += other.uses
        self.timeouts += other.timeouts
        self.failures += other.failures
        self.disagreements += other.disagreements
        self.latencies.update(other.latencies)

    def summary(self) -> dict[str, Any]:
        """Return the statistics for display, with latencies in milliseconds; None without data."""
        latencies = self.latencies
        return {
            "model": self.model,
            "detector": self.detector,
            "since": self.since,
            "version": self.version,
            "version_since": self.version_since,
            "uses": self.uses,
            "mean_ms": _milliseconds(latencies.mean),
            "p99_ms": _milliseconds(latencies.quantile(0.99)),
            "longest_ms": _milliseconds(latencies.longest),
            "timeouts": self.timeouts,
            "failures": self.failures,
            "disagreement_rate": self.disagreements / self.uses if self.uses else None,
        }


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """Version of a shard's models that failed validation, with the reason and the time (UTC).

    The previous version stays in use.
    """

    model: str
    shard: int
    version: str
    reason: str
    refused_at: datetime


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds
