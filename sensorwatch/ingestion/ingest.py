"""Exactly-once ingestion: a batch of events becomes windows and dead letters.

The hub delivers at least once, with different batch boundaries each time, and sometimes to two consumers at once. The
partition's offset checkpoint makes the result exact: windows, counts and checkpoint commit together, and only if the
stored checkpoint is still the one by which the batch was judged.

An event is a duplicate if neither its sequence number nor its enqueued time is beyond the checkpoint. Both matter: a
hub that was created again starts numbering again, while its times continue. The time of the checkpoint is the newest of
all events applied, because the clock of a hub may step back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from operator import lt
from typing import TYPE_CHECKING, Literal, Self

from sensorwatch.errors import CheckpointConflictError, TransientError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ReadingRules, decode, ticks_of
from sensorwatch.ingestion.decode_batch import SensorIds, decode_batch
from sensorwatch.ingestion.records import DeadLetter, IngestCounts, OffsetCheckpoint, Reading, Rejected
from sensorwatch.ingestion.windows import aggregate, window_end
from sensorwatch.sensors.records import SensorKey
from sensorwatch.sensors.windows import BEFORE_ALL_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sensorwatch.ingestion.decode_batch import DecodedBatch
    from sensorwatch.ingestion.ports import DeadLetters, IngestStore
    from sensorwatch.ingestion.records import Partition, RawEvent
    from sensorwatch.settings import Settings

__all__ = ["NEVER_LATE_SECONDS", "Ingest", "IngestRules", "ingest"]

logger = logging.getLogger(__name__)

NEVER_LATE_SECONDS = 10**12
"""A lateness longer than any difference of two times: no reading is late."""

_Key = tuple[str, str]
_TRIES = 5
_REMEMBERED_SENSORS = 1_000_000
_PASSED = Rejected("late", "its window was scored before it arrived, and LATE_POLICY is drop")


@dataclass(frozen=True, slots=True)
class IngestRules:
    """Rules of ingestion.

    Attributes
    ----------
    window_seconds
        Length of a window, in seconds.
    lateness_seconds
        A reading is late if its window ends at least this long before the newest window of its sensor. With 0 every
        reading before the newest window is late.
    late_policy
        Treatment of a reading that is not late, but whose window was scored already: ``update`` corrects the window and
        marks it for scoring again, ``drop`` counts the reading as late. ``drop`` does not see a scoring run that is
        planned while the batch is judged: the batch then updates.
    readings
        Rules for a single reading.
    """

    window_seconds: int = 5
    lateness_seconds: int = 3600
    late_policy: Literal["update", "drop"] = "update"
    readings: ReadingRules = field(default_factory=ReadingRules)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the rules that the settings define."""
        return cls(
            window_seconds=settings.window_seconds,
            lateness_seconds=settings.lateness_seconds,
            late_policy=settings.late_policy,
            readings=ReadingRules(
                window_time=settings.window_time,
                earliest_ticks=ticks_of(settings.earliest_time),
                future_ticks=settings.future_seconds * TICKS_PER_SECOND,
                max_body_bytes=settings.max_body_bytes,
            ),
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events judged by a checkpoint: new ones in the order of application, and duplicates."""

    fresh: Sequence[RawEvent]
    duplicates: Sequence[RawEvent]
    checkpoint: OffsetCheckpoint
    recreated: bool


@dataclass(frozen=True, slots=True)
class _Decoded:
    """An event with the decoded elements of its body."""

    event: RawEvent
    elements: Sequence[Reading | Rejected]


@dataclass(slots=True)
class _SortedOut:
    """Readings of new events: accepted ones as columns, dead letters for the others."""

    sensor_ids: list[int]
    ends: list[int]
    values: list[float]
    letters: list[DeadLetter] = field(default_factory=list)
    late: int = 0
    invalid: int = 0


class Ingest:
    """Ingestion with a cache between batches: sensor ids, newest windows and checkpoints.

    The cache only saves queries. A cached checkpoint is a guess, which the commit verifies: on a conflict the cache is
    cleared and the batch is judged again. Safe to call from several threads.
    """

    def __init__(self, store: IngestStore, dead_letters: DeadLetters, rules: IngestRules) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._rules = rules
        self._checkpoints: dict[Partition, OffsetCheckpoint | None] = {}
        self._ids = SensorIds()
        self._newest: dict[int, int] = {}
        self._lateness = max(rules.lateness_seconds, 1)

    def __call__(self, partition: Partition, events: Sequence[RawEvent]) -> IngestCounts:
        """Ingest a batch of one partition's events, in any order; see :func:`ingest`."""
        if not events:
            return IngestCounts(0, 0, 0, 0, 0)
        for _ in range(_TRIES):
            try:
                return self._apply(partition, events)
            except CheckpointConflictError:
                logger.info("partition %s: another consumer committed first; judging the batch again", partition)
                self._forget()
        raise TransientError(
            f"partition {partition.partition_id} of {partition.hub}: other consumers committed first {_TRIES} times "
            "while a batch was ingested; nothing of it was applied, deliver it again"
        )

    def _apply(self, partition: Partition, events: Sequence[RawEvent]) -> IngestCounts:
        checkpoint = self._checkpoint(partition)
        batch = _judge(events, checkpoint)
        sorted_out, newest = self._sort_out(partition, batch.fresh)
        # Another consumer may have committed this very batch before the newest windows were read: its readings would
        # look late because they were accepted.
        if sorted_out.late and self._store.offset_checkpoint(partition) != checkpoint:
            raise CheckpointConflictError(
                f"partition {partition.partition_id}: expected the checkpoint {checkpoint}, which has moved"
            )
        if sorted_out.letters:
            self._dead_letters.write(sorted_out.letters)
        duplicates = sum(len(self._decoded(event).elements) for event in batch.duplicates)
        accepted = len(sorted_out.values)
        counts = IngestCounts(
            received=duplicates + accepted + sorted_out.late + sorted_out.invalid,
            accepted=accepted,
            late=sorted_out.late,
            duplicate=duplicates,
            invalid=sorted_out.invalid,
        )
        windows = aggregate(sorted_out.sensor_ids, sorted_out.ends, sorted_out.values)
        self._store.commit_ingest(partition, checkpoint, batch.checkpoint, windows, counts)
        self._remember(partition, batch.checkpoint, newest)
        if batch.recreated:
            logger.warning(
                "partition %s: the hub was created again and its sequence numbers restarted (checkpoint was %s, is %s)",
                partition,
                checkpoint,
                batch.checkpoint,
            )
        return counts

    def _sort_out(self, partition: Partition, fresh: Sequence[RawEvent]) -> tuple[_SortedOut, dict[int, int]]:
        """Sort the readings of new events; also return the newest window of each of their sensors.

        Most events are decoded together, the others one by one. Lateness depends on the order of a sensor's readings:
        sensors that may have a late reading are handled one reading at a time as well.
        """
        window_seconds = self._rules.window_seconds
        joined = decode_batch(
            [event.body for event in fresh],
            self._ids,
            enqueued_ticks=ticks_of(min([event.enqueued_time for event in fresh])) if fresh else 0,
            rules=self._rules.readings,
            window_seconds=window_seconds,
        )
        single = [self._decoded(fresh[position]) for position in joined.left]
        ids = self._sensor_ids(single)
        sensors = {*joined.sensor_ids, *ids.values()}
        newest = self._newest_windows(sensors)
        passed = self._store.planned_until(sensors) if self._rules.late_policy == "drop" else {}
        placed = [
            (ids[element[:2]], window_end(element.ticks, window_seconds))
            for item in single
            for element in item.elements
            if isinstance(element, Reading)
        ]
        unsure = _possibly_late(joined, placed, newest, self._lateness)
        if passed:
            ends = zip(joined.sensor_ids, joined.ends, strict=True)
            unsure |= {sensor_id for sensor_id, end in ends if end <= passed.get(sensor_id, BEFORE_ALL_WINDOWS)}
        if unsure:
            joined = joined.without(
                {at for at, sensor_id in zip(joined.positions, joined.sensor_ids, strict=True) if sensor_id in unsure}
            )
            single = [self._decoded(fresh[position]) for position in joined.left]
            ids = self._sensor_ids(single)
        sorted_out = _SortedOut(joined.sensor_ids, joined.ends, joined.values)
        self._sort_out_singly(partition, single, ids, newest, passed, sorted_out)
        for sensor_id, end in zip(joined.sensor_ids, joined.ends, strict=True):
            if end > newest.get(sensor_id, BEFORE_ALL_WINDOWS):
                newest[sensor_id] = end
        return sorted_out, newest

    def _sort_out_singly(
        self,
        partition: Partition,
        decoded: Iterable[_Decoded],
        ids: dict[_Key, int],
        newest: dict[int, int],
        passed: Mapping[int, int],
        sorted_out: _SortedOut,
    ) -> None:
        """Add the readings of events in their order, and move the newest windows with them."""
        window_seconds, lateness = self._rules.window_seconds, self._lateness
        for item in decoded:
            for index, element in enumerate(item.elements):
                if isinstance(element, Rejected):
                    sorted_out.invalid += 1
                    sorted_out.letters.append(_letter(partition, item.event, index, element))
                    continue
                device, tag, ticks, value = element
                sensor_id = ids[device, tag]
                end = window_end(ticks, window_seconds)
                known = newest.get(sensor_id)
                if end <= passed.get(sensor_id, BEFORE_ALL_WINDOWS):
                    sorted_out.late += 1
                    sorted_out.letters.append(_letter(partition, item.event, index, _PASSED))
                    continue
                if known is None or end > known:
                    newest[sensor_id] = end
                elif end <= known - lateness:
                    sorted_out.late += 1
                    sorted_out.letters.append(_letter(partition, item.event, index, _too_late(end, known, lateness)))
                    continue
                sorted_out.sensor_ids.append(sensor_id)
                sorted_out.ends.append(end)
                sorted_out.values.append(value)

    def _decoded(self, event: RawEvent) -> _Decoded:
        enqueued_ticks = ticks_of(event.enqueued_time)
        return _Decoded(event, decode(event.body, enqueued_ticks=enqueued_ticks, rules=self._rules.readings))

    def _checkpoint(self, partition: Partition) -> OffsetCheckpoint | None:
        if partition in self._checkpoints:
            return self._checkpoints[partition]
        return self._store.offset_checkpoint(partition)

    def _sensor_ids(self, decoded: Iterable[_Decoded]) -> dict[_Key, int]:
        known = self._ids
        keys = dict.fromkeys(
            element[:2] for item in decoded for element in item.elements if isinstance(element, Reading)
        )
        found = {key: known.get(*key) for key in keys}
        ids = {key: sensor_id for key, sensor_id in found.items() if sensor_id is not None}
        unknown = [SensorKey(*key) for key in keys if key not in ids]
        if unknown:
            for key, sensor_id in self._store.sensor_ids(unknown).items():
                ids[key] = sensor_id
                known.add(key, sensor_id)
        return ids

    def _newest_windows(self, sensor_ids: Collection[int]) -> dict[int, int]:
        known = self._newest
        newest = {sensor_id: known[sensor_id] for sensor_id in sensor_ids if sensor_id in known}
        unknown = [sensor_id for sensor_id in sensor_ids if sensor_id not in newest]
        if unknown:
            newest.update(self._store.last_windows(unknown))
        return newest

    def _remember(self, partition: Partition, checkpoint: OffsetCheckpoint, newest: dict[int, int]) -> None:
        self._checkpoints[partition] = checkpoint
        self._newest.update(newest)
        if len(self._ids) > _REMEMBERED_SENSORS:
            self._forget()

    def _forget(self) -> None:
        # New dictionaries instead of cleared ones: another thread may be reading the old ones.
        self._checkpoints, self._ids, self._newest = {}, SensorIds(), {}


def ingest(
    partition: Partition,
    events: Sequence[RawEvent],
    *,
    store: IngestStore,
    dead_letters: DeadLetters,
    rules: IngestRules,
) -> IngestCounts:
    """Ingest a batch of one partition's events, in any order; delivering it again changes no window.

    Parameters
    ----------
    partition
        The partition that the events come from.
    events
        Events of the partition; an empty batch changes nothing.
    store
        Store of windows, counts and checkpoints.
    dead_letters
        Storage of late and unusable readings; written before the commit.
    rules
        Rules of ingestion.

    Returns
    -------
    IngestCounts
        Numbers of readings in this batch. A body that can't be decoded counts as one reading. All readings of an event
        that was applied before count as duplicates, unusable ones included.

    Raises
    ------
    TransientError
        The store or the dead letters can't be reached, or other consumers committed first every time. Nothing was
        applied; the batch may be delivered again.
    """
    return Ingest(store, dead_letters, rules)(partition, events)


def _judge(events: Sequence[RawEvent], checkpoint: OffsetCheckpoint | None) -> _Batch:
    numbers = [event.sequence_number for event in events]
    if (checkpoint is None or numbers[0] > checkpoint.sequence_number) and all(map(lt, numbers, numbers[1:])):
        # The usual case: in order, and none of them applied before.
        newest_time = max([event.enqueued_time for event in events])
        if checkpoint is not None:
            newest_time = max(newest_time, checkpoint.enqueued_time)
        return _Batch(events, [], OffsetCheckpoint(numbers[-1], newest_time), recreated=False)
    return _judge_any(events, checkpoint)


def _judge_any(events: Sequence[RawEvent], checkpoint: OffsetCheckpoint | None) -> _Batch:
    fresh: dict[tuple[int, datetime], RawEvent] = {}
    duplicates: list[RawEvent] = []
    for event in events:
        number, time = event.sequence_number, event.enqueued_time
        applied = checkpoint is not None and number <= checkpoint.sequence_number and time <= checkpoint.enqueued_time
        if applied or (number, time) in fresh:
            duplicates.append(event)
        else:
            fresh[number, time] = event
    if checkpoint is None:
        number, time = max(fresh)[0], max(time for _, time in fresh)
        return _Batch(
            [fresh[key] for key in sorted(fresh)], duplicates, OffsetCheckpoint(number, time), recreated=False
        )
    # Numbers behind the checkpoint at a later time come from a hub that was created again then. The batch may still
    # hold the end of the old hub, which is applied first.
    created = min((time for number, time in fresh if number <= checkpoint.sequence_number), default=None)
    ordered = sorted(fresh, key=lambda key: (created is not None and key[1] >= created, key[0]))
    if not ordered:
        return _Batch([], duplicates, checkpoint, recreated=False)
    newest_time = max(checkpoint.enqueued_time, *(time for _, time in ordered))
    return _Batch(
        [fresh[key] for key in ordered],
        duplicates,
        OffsetCheckpoint(ordered[-1][0], newest_time),
        recreated=created is not None,
    )


def _possibly_late(
    joined: DecodedBatch, placed: Sequence[tuple[int, int]], newest: dict[int, int], lateness: int
) -> set[int]:
    """Return the sensors that may have a late reading in some order of these readings."""
    ends = joined.ends + [end for _, end in placed]
    if not ends or min(ends) > max(max(ends), max(newest.values(), default=BEFORE_ALL_WINDOWS)) - lateness:
        return set()
    last = dict(newest)
    readings = [*zip(joined.sensor_ids, joined.ends, strict=True), *placed]
    for sensor_id, end in readings:
        if end > last.get(sensor_id, BEFORE_ALL_WINDOWS):
            last[sensor_id] = end
    return {sensor_id for sensor_id, end in readings if end <= last[sensor_id] - lateness}


def _letter(partition: Partition, event: RawEvent, index: int, rejected: Rejected) -> DeadLetter:
    return DeadLetter(
        partition=partition,
        sequence_number=event.sequence_number,
        enqueued_time=event.enqueued_time,
        index=index,
        reason=rejected.reason,
        detail=rejected.detail,
        body=event.body,
    )


def _too_late(end: int, newest: int, lateness: int) -> Rejected:
    return Rejected(
        "late",
        f"its window ends {newest - end} s before its sensor's newest; the limit is {lateness} s (LATENESS_SECONDS)",
    )
