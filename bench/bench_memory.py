"""Memory of a process that ingests ten million readings into SQLite."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import psutil

from bench.bench_step import dead_letters
from bench.measure import Size, print_line
from bench.workload import events
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.records import Partition
from sensorwatch.store import open_store

QUICK = Size(readings=20_000, rounds=1)
FULL = Size(readings=10_000_000, rounds=1)
_BATCH = 1_000
# At first, caches grow: those of times to 65,536 entries, that of SQLite to 2 MB.
_WARM_UP_PART = 20
_LOOKS = 20


def run(size: Size) -> dict[str, object]:
    """Ingest the readings, sample the resident memory of the process, and return the figures."""
    process = psutil.Process()
    warm = size.readings // _WARM_UP_PART
    looks: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder)}/memory.db", shard_size=1_000)
        step = Ingest(store, dead_letters(), IngestRules())
        for first in range(0, size.readings, _BATCH):
            step(Partition("readings", "$Default", "0"), events(first, _BATCH))
            if first >= warm and first % (size.readings // _LOOKS) < _BATCH:
                gc.collect()
                looks.append(process.memory_info().rss)
        store.dispose()
    growth = (max(looks) - looks[0]) / 2**20
    print_line(
        f"Memory over {size.readings:,} readings: {looks[0] / 2**20:.0f} MiB after the first {warm:,}, "
        f"at most {growth:.1f} MiB more in {len(looks)} samples"
    )
    return {
        "memory": {
            "readings": size.readings,
            "first MiB": round(looks[0] / 2**20, 1),
            "most growth MiB": round(growth, 1),
        }
    }
