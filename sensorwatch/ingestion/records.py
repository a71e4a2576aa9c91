"""Records of ingestion: events, readings, windows, dead letters and offset checkpoints.

Times are aware datetimes in UTC, or integers: ``ticks`` are 100 ns since 1970-01-01T00:00:00Z, the resolution of the
messages; ``end`` of a window is in whole seconds since then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


__all__ = [
    "REPLAY_PREFIX",
    "DeadLetter",
    "IngestCounts",
    "OffsetCheckpoint",
    "Partition",
    "PartitionStatus",
    "RawEvent",
    "Reading",
    "Rejected",
    "Replay",
    "Window",
]

REPLAY_PREFIX = "replay-"
"""Prefix of the ids of partitions that stand for replays of dead letters."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One Event Hubs event: its sequence number in the partition, the time at which it was enqueued (UTC), its body."""

    sequence_number: int
    enqueued_time: datetime
    body: bytes


class Reading(NamedTuple):
    """One measurement: ``ticks`` are 100 ns since 1970-01-01T00:00:00Z; ``value`` is finite."""

    device: str
    tag: str
    ticks: int
    value: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """An unusable reading: ``reason`` is a short stable code (``not-json``), ``detail`` a sentence for people."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A rejected or late reading.

    ``body`` is the body of the whole event, ``index`` the position of the reading in it (0 for a single one).
    Partition, sequence number, enqueued time and index identify the letter, however often the event is delivered.
    """

    partition: Partition
    sequence_number: int
    enqueued_time: datetime
    index: int
    reason: str
    detail: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Replay:
    """Dead letters of one day (UTC, ``2026-11-20``) that are ingested again.

    A day's replays are numbered from 0 and never change. ``partition`` belongs to this replay alone: its events are the
    letters in this order, with sequence numbers from 0. The ``body`` of a letter is the rejected reading without the
    other readings of its event. With ``accept_late`` no reading is late.
    """

    day: str
    number: int
    partition: Partition
    accept_late: bool
    letters: tuple[DeadLetter, ...]


class Window(NamedTuple):
    """A mergeable partial aggregate of one sensor over the window ``(end - window_seconds, end]``.

    ``end`` is in whole seconds since 1970-01-01T00:00:00Z, ``readings`` is the number of readings.
    """

    sensor_id: int
    end: int
    readings: int
    total: float
    minimum: float
    maximum: float
    sum_of_squares: float


class Partition(NamedTuple):
    """One partition of one event hub as one consumer group sees it."""

    hub: str
    consumer_group: str
    partition_id: str


class OffsetCheckpoint(NamedTuple):
    """The last event applied to the windows: events up to it are duplicates, unless the hub was created again."""

    sequence_number: int
    enqueued_time: datetime


class IngestCounts(NamedTuple):
    """Numbers of readings; ``received = accepted + late + duplicate + invalid`` always holds."""

    received: int
    accepted: int
    late: int
    duplicate: int
    invalid: int


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """A partition's offset checkpoint, and its counts since it was first read."""

    partition: Partition
    checkpoint: OffsetCheckpoint
    counts: IngestCounts
