"""Averages from a file of readings: ``python -m bench.file_ways ENGINE FILE`` prints the time of one engine as JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from bench.bench_step import dead_letters
from bench.workload import START, known_sensors
from sensorwatch.ingestion.decode import ReadingRules, ticks_of
from sensorwatch.ingestion.decode_batch import decode_batch
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.records import Partition, RawEvent, Window
from sensorwatch.ingestion.windows import aggregate, merge
from sensorwatch.store import open_store

_BATCH = 1_000
_ENQUEUED = START + timedelta(days=1)

# An engine is prepared before the measurement; the measured function returns its number of windows.
Work = Callable[[], int]


def _lines(file: Path) -> Iterator[list[bytes]]:
    with file.open("rb") as lines:
        while batch := [line[:-1] for line in islice(lines, _BATCH)]:
            yield batch


def sensorwatch(file: Path) -> Work:
    known, rules, enqueued = known_sensors(), ReadingRules(), ticks_of(_ENQUEUED)

    def work() -> int:
        windows: dict[tuple[int, int], Window] = {}
        for batch in _lines(file):
            joined = decode_batch(batch, known, enqueued_ticks=enqueued, rules=rules, window_seconds=5)
            for window in aggregate(joined.sensor_ids, joined.ends, joined.values):
                earlier = windows.get(window[:2])
                windows[window[:2]] = window if earlier is None else merge(earlier, window)
        averages = [(*key, window.total / window.readings) for key, window in windows.items()]
        return len(averages)

    return work


def sensorwatch_to_sqlite(file: Path) -> Work:
    folder = tempfile.TemporaryDirectory()
    store = open_store(f"sqlite:///{folder.name}/windows.db", shard_size=1_000)
    step = Ingest(store, dead_letters(), IngestRules())
    partition = Partition("readings", "$Default", "0")

    def work() -> int:
        first = 0
        for batch in _lines(file):
            step(partition, [RawEvent(number, _ENQUEUED, body) for number, body in enumerate(batch, first)])
            first += len(batch)
        windows = sum(len(store.read_windows(shard, None, _ENQUEUED).end) for shard in range(2))
        store.dispose()
        folder.cleanup()
        return windows

    return work


def polars(file: Path) -> Work:
    import polars as pl

    schema = {"TS": pl.String, "Device": pl.Int64, "Tag": pl.Int64, "Value": pl.Float64}
    time_of = pl.col("TS").str.slice(0, 27).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="ns")

    def work() -> int:
        ends = (time_of - pl.duration(nanoseconds=1)).dt.truncate("5s")
        frame = pl.scan_ndjson(file, schema=schema).with_columns(end=ends).group_by("Device", "Tag", "end")
        return int(frame.agg(pl.col("Value").mean()).collect(engine="streaming").height)

    return work


def duckdb(file: Path) -> Work:
    import duckdb as engine

    connection = engine.connect()

    def work() -> int:
        query = f"""
            SELECT Device, Tag, ceil(epoch(TS::TIMESTAMP) / 5) * 5 AS window_end, avg(Value)
            FROM read_json('{file}', format = 'newline_delimited',
                columns = {{TS: 'VARCHAR', Device: 'BIGINT', Tag: 'BIGINT', Value: 'DOUBLE'}})
            GROUP BY ALL"""
        return len(connection.execute(query).fetchall())

    return work


def bytewax(file: Path) -> Work:
    import bytewax.operators as op
    import bytewax.operators.windowing as win
    from bytewax.connectors.files import FileSource
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, run_main

    out: list[object] = []

    def parsed(line: str) -> tuple[str, tuple[datetime, float]]:
        message = json.loads(line)
        return f"{message['Device']}/{message['Tag']}", (datetime.fromisoformat(message["TS"]), message["Value"])

    def add(total: tuple[int, float], item: tuple[datetime, float]) -> tuple[int, float]:
        return total[0] + 1, total[1] + item[1]

    def merged(first: tuple[int, float], second: tuple[int, float]) -> tuple[int, float]:
        return first[0] + second[0], first[1] + second[1]

    flow = Dataflow("averages")
    keyed = op.map("parse", op.input("in", flow, FileSource(file)), parsed)
    clock: Any = win.EventClock(ts_getter=lambda item: item[0], wait_for_system_duration=timedelta(seconds=10))
    windower = win.TumblingWindower(length=timedelta(seconds=5), align_to=datetime(2026, 1, 1, tzinfo=UTC))
    folded = win.fold_window("fold", keyed, clock, windower, lambda: (0, 0.0), add, merged)
    averages = op.map_value("average", folded.down, lambda item: (item[0], item[1][1] / item[1][0]))
    op.output("out", averages, TestingSink(out))

    def work() -> int:
        run_main(flow)
        return len(out)

    return work


def spark(file: Path) -> Work:
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    folder = tempfile.TemporaryDirectory()
    session = (
        SparkSession.builder.master("local[*]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(os.cpu_count() or 1))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", folder.name)
        .getOrCreate()
    )

    def work() -> int:
        readings = session.readStream.schema("TS TIMESTAMP, Device BIGINT, Tag BIGINT, Value DOUBLE")
        averages = (
            readings.json(str(file.parent))
            .withWatermark("TS", "10 seconds")
            .groupBy(f.window("TS", "5 seconds"), "Device", "Tag")
            .agg(f.avg("Value").alias("Value"))
        )
        query = (
            averages.writeStream.outputMode("update")
            .format("memory")
            .queryName("averages")
            .option("checkpointLocation", f"{folder.name}/checkpoint")
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
        return int(session.table("averages").count())

    return work


_WAYS: dict[str, Callable[[Path], Work]] = {
    "sensorwatch": sensorwatch,
    "sensorwatch to SQLite": sensorwatch_to_sqlite,
    "polars": polars,
    "duckdb": duckdb,
    "bytewax": bytewax,
    "spark": spark,
}


def _cpu_seconds() -> float:
    process = psutil.Process()
    times = [part.cpu_times() for part in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def main() -> None:
    name, file = sys.argv[1:]
    work = _WAYS[name](Path(file))
    cpu, began = _cpu_seconds(), time.perf_counter()
    windows = work()
    print(
        json.dumps({"seconds": time.perf_counter() - began, "cpu": _cpu_seconds() - cpu, "windows": windows}),
        flush=True,
    )


if __name__ == "__main__":
    main()
