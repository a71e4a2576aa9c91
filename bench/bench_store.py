"""Benchmark of committing windows to SQLite and reading them."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Result, Size, prepared_spared, show
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import open_store

QUICK = Size(readings=4_000, rounds=1)
FULL = Size(readings=200_000, rounds=5)
_NOW = datetime(2026, 11, 20, tzinfo=UTC)
_HUB = Partition("readings", "$Default", "0")
_SENSORS = 2_000
_ROWS_A_COMMIT = (100, 737, 1_000, 2_000, 10_000)


def run(size: Size) -> dict[str, object]:
    """Measure commits of several sizes and reading, with ``size.readings`` windows per round; return the figures."""
    numbers = random.Random(1)
    windows = [
        Window(sensor_id, 1_700_000_000 + 5 * i, 5, *(numbers.random() * 100 for _ in range(4)))
        for i in range(size.readings // _SENSORS)
        for sensor_id in range(_SENSORS)
    ]
    written = {rows: Result(f"commits of {rows:,}") for rows in _ROWS_A_COMMIT}
    read = Result("reading")
    with prepared_spared():
        for _ in range(size.rounds):
            for rows, result in written.items():
                with tempfile.TemporaryDirectory() as folder:
                    _measure(Path(folder), windows, rows, result, read)
    results = [*written.values(), read]
    show(f"Windows on SQLite, {_SENSORS:,} sensors", results, "rows/CPU-s", "commits of 1,000")
    return {"store": {result.name: result.as_json() for result in results}}


def _measure(folder: Path, windows: Sequence[Window], rows_a_commit: int, written: Result, read: Result) -> None:
    store = open_store(f"sqlite:///{folder}/windows.db", shard_size=1000)
    store.sensor_ids([SensorKey(f"device-{i}", "value") for i in range(_SENSORS)])
    mark = None
    began = time.process_time()
    for at in range(0, len(windows), rows_a_commit):
        some = windows[at : at + rows_a_commit]
        following = OffsetCheckpoint(at, _NOW)
        store.commit_ingest(_HUB, mark, following, some, IngestCounts(len(some), len(some), 0, 0, 0))
        mark = following
    written.rates.append(len(windows) / (time.process_time() - began))
    began = time.process_time()
    found = sum(len(store.read_windows(shard, None, _NOW).end) for shard in range(1 + (_SENSORS - 1) // 1000))
    read.rates.append(found / (time.process_time() - began))
    store.dispose()
