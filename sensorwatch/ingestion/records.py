"""Ingestion: bytes become readings, readings become windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


__all__ = [
    "REPLAY_PREFIX",
    "DeadLetter",
    "IngestCounts",
    "IngestMark",
    "Partition",
    "PartitionStatus",
    "RawEvent",
    "Reading",
    "Rejected",
    "Replay",
    "Window",
]

REPLAY_PREFIX = "replay-"
"""How the ids of the partitions begin that stand for replays of dead letters."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One Event Hubs event as delivered: its place in the partition, when the hub took it (UTC), and its bytes."""

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
    """A reading that can't be used: ``reason`` is a short stable code (``not-json``), ``detail`` is for a person."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A rejected or late reading on its way to the dead letters.

    ``body`` is the whole event's body; ``index`` says which reading in it was rejected (0 for a single one), so
    (partition, sequence number, enqueued time, index) identifies it however often it is delivered.
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
    """Dead letters of one day (UTC, ``2026-11-20``) on their way through the ingest step once more.

    A day's replays are numbered from 0 and never change. ``partition`` stands for this one alone: its events are the
    letters in this order, with sequence numbers from 0. A letter's ``body`` is the rejected reading without its
    neighbours; ``accept_late`` says that none is late this time.
    """

    day: str
    number: int
    partition: Partition
    accept_late: bool
    letters: tuple[DeadLetter, ...]


class Window(NamedTuple):
    """A mergeable partial aggregate of one sensor over the window ``(end - window_seconds, end]``.

    ``end`` is in whole seconds since 1970-01-01T00:00:00Z, ``readings`` their number.
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


class IngestMark(NamedTuple):
    """The last event applied: everything at or below it is a duplicate, unless the hub was created anew."""

    sequence_number: int
    enqueued_time: datetime


class IngestCounts(NamedTuple):
    """Counts of readings; ``received = accepted + late + duplicate + invalid`` always."""

    received: int
    accepted: int
    late: int
    duplicate: int
    invalid: int


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """A partition's mark and its counters since it was first read."""

    partition: Partition
    mark: IngestMark
    counts: IngestCounts
