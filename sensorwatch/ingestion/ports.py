"""Taking readings in, and reading windows back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sensorwatch.ingestion.records import (
        DeadLetter,
        IngestCounts,
        IngestMark,
        Partition,
        PartitionStatus,
        Replay,
        Window,
    )
    from sensorwatch.sensors.records import SensorKey

__all__ = ["DeadLetters", "IngestStore", "RetentionStore"]


class IngestStore(Protocol):
    """Exactly-once ingestion: windows, counters and the partition's mark commit together."""

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        """Return the id of every key; unknown sensors enter the catalogue with the next dense ids, in this order."""
        ...

    def last_windows(self, sensor_ids: Collection[int]) -> dict[int, int]:
        """Return the end (seconds since 1970) of each sensor's newest window; sensors without windows are left out."""
        ...

    def planned_until(self, sensor_ids: Collection[int]) -> dict[int, int]:
        """Return up to which end (seconds since 1970) scoring of each sensor is planned; where it is not, left out."""
        ...

    def ingest_mark(self, partition: Partition) -> IngestMark | None:
        """Return the last event applied, None for a partition never read."""
        ...

    def commit_ingest(
        self,
        partition: Partition,
        expected: IngestMark | None,
        mark: IngestMark,
        windows: Sequence[Window],
        counts: IngestCounts,
    ) -> None:
        """Merge windows, add counts and move the mark, in one transaction.

        Windows have distinct (sensor_id, end). A window that changes after its shard's scoring was planned past it is
        marked for scoring again in the same transaction. The sensors' newest window moves forward with them.

        Raises
        ------
        MarkMovedError
            The stored mark is not ``expected``; nothing was changed.
        """
        ...

    def ingest_status(self) -> list[PartitionStatus]:
        """Return every partition's mark and counters, ordered by partition."""
        ...


class RetentionStore(Protocol):
    """Letting go of old windows."""

    def delete_windows(self, until: datetime) -> int:
        """Delete every window that ends at or before ``until`` (UTC); return how many there were.

        What real time said of them goes too. May be interrupted, and done again.
        """
        ...


class DeadLetters(Protocol):
    """Where readings go that can't be used."""

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Keep the letters (all of one partition and one batch), durably, before returning."""
        ...

    def read(self, day: str | None = None) -> Iterable[DeadLetter]:
        """Yield the letters (of one day, ``2026-11-20``), each once however often it was written."""
        ...

    def days(self) -> list[str]:
        """Return the days (UTC) that have letters or replays, ordered."""
        ...

    def replays(self, day: str) -> Iterable[Replay]:
        """Yield a day's replays, ordered by number."""
        ...

    def add_replay(self, day: str, number: int, letters: Sequence[DeadLetter], *, accept_late: bool) -> Replay:
        """Note, durably, that these letters (at least one) are taken in again as the day's replay of this number.

        Raises
        ------
        ConflictError
            There is one of this number already; it stays as it is.
        """
        ...
