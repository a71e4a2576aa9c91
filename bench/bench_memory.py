"""Memory of a process that ingests for long: ten million readings, through the whole step to SQLite."""

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
# Caches fill in the beginning: those of times hold 65,536 seconds, of SQLite 2 MB.
_WARM_UP_PART = 20
_LOOKS = 20


def run(size: Size) -> dict[str, object]:
    """Ingest, and look at the process's resident memory from time to time; return the figures."""
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
        f"at most {growth:.1f} MiB more in {len(looks)} looks"
    )
    return {
        "memory": {
            "readings": size.readings,
            "first MiB": round(looks[0] / 2**20, 1),
            "most growth MiB": round(growth, 1),
        }
    }
