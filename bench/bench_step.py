"""Benchmark of ingestion, from events to a committed transaction on SQLite."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from bench.measure import Size, compare, show
from bench.workload import SENSORS, events
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.ports import DeadLetters
from sensorwatch.ingestion.records import DeadLetter, Partition, RawEvent
from sensorwatch.store import open_store

QUICK = Size(readings=2_000, rounds=1)
FULL = Size(readings=50_000, rounds=5)
_BATCH_SIZES = (100, 250, 500, 1_000, 2_000, 5_000)
_PARTITION = Partition("readings", "$Default", "0")


class _Refused(list[DeadLetter]):
    def write(self, letters: Sequence[DeadLetter]) -> None:
        self.extend(letters)


def dead_letters() -> DeadLetters:
    """Return a store of dead letters in memory."""
    return cast("DeadLetters", _Refused())


def run(size: Size) -> dict[str, object]:
    """Measure ingestion with several batch sizes and return the figures."""
    streams = [events(SENSORS + at * size.readings, size.readings) for at in range(size.rounds)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_stores:
        ways = {f"batches of {count:,}": _work(Path(folder), streams, count, open_stores) for count in _BATCH_SIZES}
        results = compare(ways, size.readings, size.rounds)
    title = f"Ingestion to a commit on SQLite, {SENSORS:,} sensors in turn"
    show(title, results, "readings/CPU-s", "batches of 1,000")
    return {"step": {result.name: result.as_json() for result in results}}


def _work(
    folder: Path, streams: Sequence[Sequence[RawEvent]], count: int, open_stores: ExitStack
) -> Callable[[], None]:
    store = open_store(f"sqlite:///{folder}/{count}.db", shard_size=1_000)
    open_stores.callback(store.dispose)
    step = Ingest(store, dead_letters(), IngestRules())
    # Sensors are created before the measurement.
    step(_PARTITION, events(0, SENSORS))
    rounds = iter(streams)

    def work() -> None:
        stream = next(rounds)
        for first in range(0, len(stream), count):
            step(_PARTITION, stream[first : first + count])

    return work
