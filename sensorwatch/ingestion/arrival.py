"""Arrival of sent readings: wait until ingestion has applied them, and count the outcomes.

The end of the wait is decided by sequence numbers, not by counts: other senders and events that are delivered twice do
not end it early.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.errors import TransientError
from sensorwatch.ingestion.records import IngestCounts, Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sensorwatch.ingestion.ports import DeadLetters, IngestStore
    from sensorwatch.ingestion.records import OffsetCheckpoint

__all__ = ["Rejection", "SentEvents", "ingest_counts", "rejections", "wait_until_ingested"]

_STALLED_SECONDS = 60.0
_POLL_SECONDS = 0.5
# The hub may round the times of events and that of its last event differently.
_TIME_TOLERANCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class SentEvents:
    """Events that a hub accepted between two moments.

    Attributes
    ----------
    hub, consumer_group
        The hub, and the consumer group of ingestion.
    begun
        Time of the first moment (UTC).
    counts
        Counts of ingestion at the first moment.
    before, after
        Last event of each partition id at the first and the second moment; partitions without events are left out.
    """

    hub: str
    consumer_group: str
    begun: datetime
    counts: IngestCounts
    before: Mapping[str, OffsetCheckpoint]
    after: Mapping[str, OffsetCheckpoint]

    def contains(self, partition: Partition, sequence_number: int) -> bool:
        """Return whether an event is among them."""
        last = self.after.get(partition.partition_id)
        if (partition.hub, partition.consumer_group) != (self.hub, self.consumer_group) or last is None:
            return False
        first = self.before.get(partition.partition_id)
        return (first is None or first.sequence_number < sequence_number) and sequence_number <= last.sequence_number


class Rejection(NamedTuple):
    """Number of readings that were rejected for a reason, and the sentence about the first of them."""

    reason: str
    readings: int
    detail: str


def ingest_counts(store: IngestStore, hub: str, consumer_group: str) -> IngestCounts:
    """Return the counts of all partitions of a hub together.

    Parameters
    ----------
    store
        Store of the counts.
    hub, consumer_group
        The hub, and the consumer group of ingestion.
    """
    counts = IngestCounts(0, 0, 0, 0, 0)
    for status in store.ingest_status():
        partition = status.partition
        if partition == Partition(hub, consumer_group, partition.partition_id):
            counts = IngestCounts(*(one + other for one, other in zip(counts, status.counts, strict=True)))
    return counts


def wait_until_ingested(
    sent: SentEvents,
    store: IngestStore,
    *,
    progress: Callable[[int], object] = lambda ingested: None,
    stalled_seconds: float = _STALLED_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> IngestCounts:
    """Wait until all sent events are applied; return the counts of readings since the first moment.

    Parameters
    ----------
    sent
        The events.
    store
        Store of ingestion.
    progress
        Called with the number of readings ingested so far.
    stalled_seconds
        Longest time without any progress, in seconds.
    monotonic, sleep
        Clock in seconds, and pause of that many seconds.

    Raises
    ------
    TransientError
        Ingestion made no progress for ``stalled_seconds``.
    """
    best, moved = -1, monotonic()
    while True:
        now = ingest_counts(store, sent.hub, sent.consumer_group)
        counts = IngestCounts(*(new - old for new, old in zip(now, sent.counts, strict=True)))
        progress(counts.received)
        if _is_ingested(sent, store):
            return counts
        if counts.received > best:
            best, moved = counts.received, monotonic()
        elif monotonic() - moved > stalled_seconds:
            raise TransientError(
                f"the readings were sent, but nothing was ingested for {stalled_seconds:.0f} s ({counts.received} "
                "readings so far); the function app must run to ingest them. --no-wait returns after sending"
            )
        sleep(_POLL_SECONDS)


def rejections(sent: SentEvents, dead_letters: DeadLetters) -> list[Rejection]:
    """Return how many of the sent readings became dead letters, by reason, the most frequent first.

    Parameters
    ----------
    sent
        The events.
    dead_letters
        Storage of dead letters.
    """
    latest = max((last.enqueued_time for last in sent.after.values()), default=sent.begun)
    found: dict[str, Rejection] = {}
    day = min(sent.begun, latest).date()
    while day <= max(sent.begun, latest).date():
        for letter in dead_letters.read(day.isoformat()):
            if sent.contains(letter.partition, letter.sequence_number):
                known = found.get(letter.reason, Rejection(letter.reason, 0, letter.detail))
                found[letter.reason] = known._replace(readings=known.readings + 1)
        day += timedelta(days=1)
    return sorted(found.values(), key=lambda each: (-each.readings, each.reason))


def _is_ingested(sent: SentEvents, store: IngestStore) -> bool:
    for partition_id, last in sent.after.items():
        if last == sent.before.get(partition_id):
            continue
        checkpoint = store.offset_checkpoint(Partition(sent.hub, sent.consumer_group, partition_id))
        # A hub that was created again starts numbering again: the time tells its events from former ones.
        if (
            checkpoint is None
            or checkpoint.sequence_number < last.sequence_number
            or checkpoint.enqueued_time < last.enqueued_time - _TIME_TOLERANCE
        ):
            return False
    return True
