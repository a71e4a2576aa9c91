"""An ingest store and dead letters in memory, with the faults that the real ones can have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from sensorwatch.errors import CheckpointConflictError, ConflictError, InvalidInputError
from sensorwatch.ingestion.records import (
    REPLAY_PREFIX,
    DeadLetter,
    IngestCounts,
    OffsetCheckpoint,
    Partition,
    PartitionStatus,
    Replay,
    Window,
)
from sensorwatch.ingestion.windows import merge
from sensorwatch.sensors.records import SensorKey

Hook = Callable[[], None]


class FakeIngestStore:
    """Commits are atomic; ``before_commit`` and ``after_commit`` run around each one and may raise."""

    def __init__(self) -> None:
        self.ids: dict[SensorKey, int] = {}
        self.windows: dict[tuple[int, int], Window] = {}
        self.marks: dict[Partition, OffsetCheckpoint] = {}
        self.counts: dict[Partition, IngestCounts] = {}
        self.planned: dict[int, int] = {}
        self.before_commit: Hook = lambda: None
        self.after_commit: Hook = lambda: None
        self.after_last_windows: Hook = lambda: None
        self.before_last_windows: Hook = lambda: None

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        for key in keys:
            self.ids.setdefault(key, len(self.ids))
        return {key: self.ids[key] for key in keys}

    def planned_until(self, sensor_ids: Collection[int]) -> dict[int, int]:
        return {sensor_id: self.planned[sensor_id] for sensor_id in sensor_ids if sensor_id in self.planned}

    def last_windows(self, sensor_ids: Collection[int]) -> dict[int, int]:
        self.before_last_windows()
        newest: dict[int, int] = {}
        for sensor_id, end in self.windows:
            if sensor_id in sensor_ids:
                newest[sensor_id] = max(end, newest.get(sensor_id, end))
        self.after_last_windows()
        return newest

    def offset_checkpoint(self, partition: Partition) -> OffsetCheckpoint | None:
        return self.marks.get(partition)

    def commit_ingest(
        self,
        partition: Partition,
        expected: OffsetCheckpoint | None,
        mark: OffsetCheckpoint,
        windows: Sequence[Window],
        counts: IngestCounts,
    ) -> None:
        self.before_commit()
        keys = [(window.sensor_id, window.end) for window in windows]
        if len(set(keys)) < len(keys):
            raise InvalidInputError("expected the windows of one commit to be distinct")
        if counts.received != counts.accepted + counts.late + counts.duplicate + counts.invalid:
            raise InvalidInputError(f"expected received = accepted + late + duplicate + invalid, got {counts}")
        if self.marks.get(partition) != expected:
            raise CheckpointConflictError("the mark moved")
        for key, window in zip(keys, windows, strict=True):
            self.windows[key] = merge(self.windows[key], window) if key in self.windows else window
        self.marks[partition] = mark
        before = self.counts.get(partition, IngestCounts(0, 0, 0, 0, 0))
        self.counts[partition] = IngestCounts(*(a + b for a, b in zip(before, counts, strict=True)))
        self.after_commit()

    def ingest_status(self) -> list[PartitionStatus]:
        return [PartitionStatus(key, self.marks[key], self.counts[key]) for key in sorted(self.marks)]

    def by_name(self) -> dict[tuple[SensorKey, int], Window]:
        """Return the windows keyed by name, as ids depend on the order in which sensors were first seen."""
        names = {sensor_id: key for key, sensor_id in self.ids.items()}
        return {(names[window.sensor_id], window.end): window for window in self.windows.values()}


class FakeDeadLetters:
    """Keeps each letter once, by its identity; ``before_add_replay`` runs before a replay is noted and may raise."""

    def __init__(self) -> None:
        self.letters: dict[tuple[object, ...], DeadLetter] = {}
        self.log: dict[str, list[Replay]] = {}
        self.before_add_replay: Hook = lambda: None
        self.writes = 0

    def write(self, letters: Sequence[DeadLetter]) -> None:
        assert letters, "nothing to write"
        self.writes += 1
        for letter in letters:
            self.letters[letter.partition, letter.sequence_number, letter.enqueued_time, letter.index] = letter

    def read(self, day: str | None = None) -> Iterable[DeadLetter]:
        wanted = None if day is None else _checked(day)
        ordered = sorted(self.letters.values(), key=lambda x: (_day_of(x), *x.partition, x.sequence_number, x.index))
        return [letter for letter in ordered if wanted in (None, _day_of(letter))]

    def written_within(self, period: timedelta, now: datetime) -> Iterable[DeadLetter]:
        """Letters count as written when their events were enqueued."""
        return [letter for letter in self.read() if now - period <= letter.enqueued_time <= now]

    def days(self) -> list[str]:
        return sorted({_day_of(letter) for letter in self.letters.values()} | self.log.keys())

    def replays(self, day: str) -> Iterable[Replay]:
        return list(self.log.get(_checked(day), []))

    def add_replay(self, day: str, number: int, letters: Sequence[DeadLetter], *, accept_late: bool) -> Replay:
        assert letters, "nothing to take in again"
        self.before_add_replay()
        log = self.log.setdefault(_checked(day), [])
        if number < len(log):
            raise ConflictError(f"replay {number} exists")
        assert number == len(log), "numbers have no gaps"
        partition = letters[0].partition._replace(partition_id=f"{REPLAY_PREFIX}{day}-{number}")
        log.append(Replay(day, number, partition, accept_late, tuple(letters)))
        return log[-1]

    def reasons(self) -> list[str]:
        """Return the reasons in the order of the letters."""
        return [letter.reason for letter in self.letters.values()]


def _day_of(letter: DeadLetter) -> str:
    return letter.enqueued_time.astimezone(UTC).date().isoformat()


def _checked(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        raise InvalidInputError(f"expected a day like 2026-11-20, got `{day}`") from None
