"""Scoring in real time: what models answered, and how they are doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sensorwatch.ingestion.records import Partition

__all__ = ["ModelAnswer", "ModelUse", "RefusedVersion", "ServedWindow", "ServingCounts", "ServingStatus"]


class ServingCounts(NamedTuple):
    """Counts of readings; ``received`` is always the sum of the others.

    Attributes
    ----------
    scored
        Their windows got a score with them.
    not_in_time
        No model answered before the deadline.
    without_model
        No model could: their sensor has none yet, or its model gave no score.
    late
        They are behind their sensor's open window; batch scoring takes them in.
    duplicate
        Their events had been scored before.
    invalid
        They can't be used.
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
    """What became of a partition's readings since it was first read, and the last batch (UTC)."""

    partition: Partition
    counts: ServingCounts
    updated: datetime


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What one model said of a window: a score of 0-100, 50 and more anomalous, in so many seconds."""

    score: float
    version: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ServedWindow:
    """A window as some of its readings were scored in real time, and at least one model called it anomalous.

    Attributes
    ----------
    end
        Its end, in seconds since 1970-01-01T00:00:00Z.
    readings, value
        Its readings so far and their mean: the score is of these.
    score
        0-100, 50 and more anomalous: that of the model whose answer counts, ``winner``.
    answers
        What the models answered in time, by name; None where one was asked and was late.
    scored_at
        When (UTC).
    """

    sensor_id: int
    end: int
    readings: int
    value: float
    score: float
    winner: str
    decider: str
    model_version: str
    answers: Mapping[str, ModelAnswer | None]
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What a model did in real time; windows count as often as they are scored, times are in UTC.

    Attributes
    ----------
    model, detector
        The set it belongs to (``own`` or a name in ``sensorwatch.yaml``), and its detector.
    since
        When it was first used.
    version, version_since
        The newest version in use, and when that was taken up.
    uses
        Windows that it answered for in time.
    timeouts, failures
        Windows for which it was late, and for which its call failed.
    disagreements
        Answers that were not what was decided.
    calls
        Calls, each for a batch of windows; ``latencies`` has their durations in seconds by bin, as
        :class:`sensorwatch.realtime.latencies.Latencies` has them, with their sum and the longest.
    """

    model: str
    detector: str
    since: datetime
    version: str
    version_since: datetime
    uses: int
    timeouts: int
    failures: int
    disagreements: int
    calls: int
    latencies: Mapping[int, int]
    total_seconds: float
    longest_seconds: float


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A version of a shard's models that is not served, why, and since when (UTC); the former one stays in use."""

    model: str
    shard: int
    version: str
    reason: str
    refused_at: datetime
