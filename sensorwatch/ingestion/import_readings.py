"""Import of readings that another system recorded: each once, however often the import is started."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.ingestion.decode import TICKS_PER_SECOND, time_of
from sensorwatch.ingestion.ingest import NEVER_LATE_SECONDS, Ingest
from sensorwatch.ingestion.records import IngestCounts, Partition, RawEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sensorwatch.ingestion.ingest import IngestRules
    from sensorwatch.ingestion.ports import DeadLetters, IngestStore
    from sensorwatch.ingestion.records import Reading

__all__ = ["ImportedReadings", "import_readings"]

_READINGS_PER_EVENT = 500
_EVENTS_PER_BATCH = 100


class ImportedReadings(NamedTuple):
    """Number of readings that an earlier import had ingested, and the counts of the others."""

    already_there: int
    counts: IngestCounts


def import_readings(
    source: str,
    readings: Iterable[Reading],
    *,
    store: IngestStore,
    dead_letters: DeadLetters,
    rules: IngestRules,
) -> ImportedReadings:
    """Ingest past readings as a partition of their own.

    The time of a reading is its sequence number in that partition. A repeated import, or one that continues after a
    kill, therefore skips what was imported before, and adds newer readings. Readings that the source receives later
    with an older time are skipped too.

    Parameters
    ----------
    source
        Name of the source, such as ``SensorValues``; each source is a partition.
    readings
        Readings ordered by time.
    store, dead_letters
        As for :class:`~sensorwatch.ingestion.ingest.Ingest`.
    rules
        Rules of ingestion; lateness is ignored, as all readings are old.
    """
    patient = replace(
        rules,
        lateness_seconds=NEVER_LATE_SECONDS,
        late_policy="update",
        readings=replace(rules.readings, window_time="event"),
    )
    ingest = Ingest(store, dead_letters, patient)
    partition = Partition("import", "import", source)
    checkpoint = store.offset_checkpoint(partition)
    everything = list(readings)
    new = [each for each in everything if checkpoint is None or each.ticks > checkpoint.sequence_number]
    total = IngestCounts(0, 0, 0, 0, 0)
    for events in _batches(_events(new)):
        total = _sum(total, ingest(partition, events))
    return ImportedReadings(len(everything) - len(new), total)


def _batches(events: Iterator[RawEvent]) -> Iterator[list[RawEvent]]:
    while batch := list(islice(events, _EVENTS_PER_BATCH)):
        yield batch


def _events(readings: Iterable[Reading]) -> Iterator[RawEvent]:
    """Yield events that hold all readings of an instant; the sequence number is the last instant."""
    pending: list[Reading] = []
    for _, instant in groupby(readings, key=lambda reading: reading.ticks):
        together = list(instant)
        if pending and len(pending) + len(together) > _READINGS_PER_EVENT:
            yield _event(pending)
            pending = []
        pending += together
    if pending:
        yield _event(pending)


def _event(readings: list[Reading]) -> RawEvent:
    lines = (
        json.dumps({"TS": _text(each.ticks), "Device": each.device, "Tag": each.tag, "Value": each.value})
        for each in readings
    )
    last = readings[-1].ticks
    return RawEvent(last, time_of(last), "\n".join(lines).encode())


def _text(ticks: int) -> str:
    whole, fraction = divmod(ticks, TICKS_PER_SECOND)
    return f"{time_of(whole * TICKS_PER_SECOND):%Y-%m-%dT%H:%M:%S}.{fraction:07d}Z"


def _sum(left: IngestCounts, right: IngestCounts) -> IngestCounts:
    return IngestCounts(*(a + b for a, b in zip(left, right, strict=True)))
