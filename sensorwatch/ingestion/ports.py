"""Ports of ingestion: the store of windows, retention, and dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime, timedelta

    from sensorwatch.ingestion.records import (
        DeadLetter,
        IngestCounts,
        OffsetCheckpoint,
        Partition,
        PartitionStatus,
        Replay,
        Window,
    )
    from sensorwatch.sensors.records import SensorKey

__all__ = ["DeadLetters", "IngestStore", "RetentionStore"]


class IngestStore(Protocol):
    """Exactly-once ingestion: windows, counts and the partition's offset checkpoint commit together."""

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        """Return the id of every key; unknown sensors are added to the catalogue with the next ids, in this order."""
        ...

    def last_windows(self, sensor_ids: Collection[int]) -> dict[int, int]:
        """Return the end (seconds since 1970) of each sensor's newest window; sensors without windows are left out."""
        ...

    def planned_until(self, sensor_ids: Collection[int]) -> dict[int, int]:
        """Return the end (seconds since 1970) up to which scoring of each sensor is planned; others are left out."""
        ...

    def offset_checkpoint(self, partition: Partition) -> OffsetCheckpoint | None:
        """Return the last event applied, None for a partition that was never read."""
        ...

    def commit_ingest(
        self,
        partition: Partition,
        expected: OffsetCheckpoint | None,
        checkpoint: OffsetCheckpoint,
        windows: Sequence[Window],
        counts: IngestCounts,
    ) -> None:
        """Merge windows, add counts and move the offset checkpoint, in one transaction.

        A window that changes after scoring was planned past it is marked for scoring again in the same transaction. The
        newest window of each sensor moves forward with it.

        Parameters
        ----------
        partition
            The partition that the events came from.
        expected
            The checkpoint by which the batch was judged.
        checkpoint
            The checkpoint behind the batch.
        windows
            Partial aggregates with distinct (sensor_id, end).
        counts
            Numbers of readings, added to those of the partition.

        Raises
        ------
        CheckpointConflictError
            The stored checkpoint is not ``expected``; nothing changed.
        """
        ...

    def ingest_status(self) -> list[PartitionStatus]:
        """Return the checkpoint and counts of every partition, ordered by partition."""
        ...


class RetentionStore(Protocol):
    """Deletion of old windows."""

    def delete_windows(self, until: datetime) -> int:
        """Delete every window that ends at or before ``until`` (UTC); return the number of windows.

        The results of real-time scoring for them are deleted as well. Safe to interrupt and to repeat.
        """
        ...


class DeadLetters(Protocol):
    """Storage of readings that can't be used."""

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Store letters of one partition and one batch durably."""
        ...

    def read(self, day: str | None = None) -> Iterable[DeadLetter]:
        """Yield the letters (of one day, ``2026-11-20``), each once, however often it was written."""
        ...

    def written_within(self, period: timedelta, now: datetime) -> Iterable[DeadLetter]:
        """Yield the letters that were written in the period before ``now`` (aware), each once.

        Letters of events that waited in the hub for more than a day are left out.
        """
        ...

    def days(self) -> list[str]:
        """Return the days (UTC) with letters or replays, in order."""
        ...

    def replays(self, day: str) -> Iterable[Replay]:
        """Yield the replays of a day, ordered by number."""
        ...

    def add_replay(self, day: str, number: int, letters: Sequence[DeadLetter], *, accept_late: bool) -> Replay:
        """Record durably that these letters are ingested again, as the day's replay of this number.

        Parameters
        ----------
        day
            The day (UTC) of the letters, ``2026-11-20``.
        number
            Number of the replay, from 0.
        letters
            At least one letter.
        accept_late
            Whether to accept readings however late they are.

        Raises
        ------
        ConflictError
            A replay of this number exists already; it stays unchanged.
        """
        ...
