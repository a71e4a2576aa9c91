"""Benchmark of decoding batches of readings and aggregating them into windows, next to alternatives, in one process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import Any

import msgspec

from bench.measure import Result, Size, compare, show
from bench.workload import SENSORS, START, batches, known_sensors
from sensorwatch.ingestion.decode import Message, ReadingRules, decode, ticks_of
from sensorwatch.ingestion.decode_batch import decode_batch
from sensorwatch.ingestion.records import Reading
from sensorwatch.ingestion.windows import aggregate, window_end

OURS = "sensorwatch"
QUICK = Size(readings=2_000, rounds=1)
FULL = Size(readings=50_000, rounds=9)
_BATCH_SIZES = (100, 1_000, 10_000)
_BAD_BODY = b'{"Device": 1, "Tag"'
_WINDOW_SECONDS = 5
_RULES = ReadingRules()
_ENQUEUED = ticks_of(START) + 10**10

Batch = Sequence[bytes]
Way = Callable[[Batch], object]

REMARKS = {
    OURS: "all checks of ingestion; sums rounded once",
    f"{OURS}, 1 of 100 bad": "invalid readings go through the reference",
    "reference": "same results, one body after the other",
    "json + fromisoformat": "no checks; plain sums",
    "orjson per event": "no checks; plain sums",
    "msgspec parse only": "lower bound: only dictionaries from the joined array",
    "msgspec typed parse only": "lower bound: only objects from the joined array",
    "polars": "no checks; one call per batch, on all cores",
    "pyarrow.json": "no checks",
    "duckdb": "no checks; reads the batch from an Arrow table",
}


def run(size: Size) -> dict[str, object]:
    """Measure every alternative with every batch size and return the figures."""
    figures: dict[str, object] = {}
    for batch_size in _BATCH_SIZES:
        parts = batches(size.readings, batch_size)
        spoilt = [[body if at % 100 != 50 else _BAD_BODY for at, body in enumerate(part)] for part in parts]
        ways = {name: _over(way, parts) for name, way in _ways().items()}
        ways[f"{OURS}, 1 of 100 bad"] = _over(_ours(), spoilt)
        results = compare(ways, size.readings, size.rounds)
        for result in results:
            result.remark = REMARKS[result.name]
        results += [Result(name, skipped="not installed") for name in _missing()]
        show(f"Decode and aggregate, batches of {batch_size:,}, {SENSORS:,} sensors", results, "readings/CPU-s", OURS)
        figures[f"ingest, batches of {batch_size}"] = {result.name: result.as_json() for result in results}
    return figures


def _over(way: Way, parts: Sequence[Batch]) -> Callable[[], object]:
    def work() -> None:
        for part in parts:
            way(part)

    return work


def _ours() -> Way:
    known = known_sensors()

    def ours(batch: Batch) -> object:
        joined = decode_batch(batch, known, enqueued_ticks=_ENQUEUED, rules=_RULES, window_seconds=_WINDOW_SECONDS)
        for position in joined.left:
            decode(batch[position], enqueued_ticks=_ENQUEUED, rules=_RULES)
        return aggregate(joined.sensor_ids, joined.ends, joined.values)

    return ours


def _reference() -> Way:
    known = known_sensors()

    def reference(batch: Batch) -> object:
        sensor_ids, ends, values = [], [], []
        for body in batch:
            for element in decode(body, enqueued_ticks=_ENQUEUED, rules=_RULES):
                if isinstance(element, Reading):
                    sensor_ids.append(known.by_name[element.device][element.tag])
                    ends.append(window_end(element.ticks, _WINDOW_SECONDS))
                    values.append(element.value)
        return aggregate(sensor_ids, ends, values)

    return reference


def _event_by_event(loads: Callable[[bytes], Any]) -> Way:
    def plain(batch: Batch) -> object:
        cells: dict[tuple[object, object, int], list[float]] = {}
        for body in batch:
            message = loads(body)
            seconds = datetime.fromisoformat(message["TS"]).timestamp()
            end = -int(-seconds // _WINDOW_SECONDS) * _WINDOW_SECONDS
            cells.setdefault((message["Device"], message["Tag"], end), []).append(message["Value"])
        return [
            (key, len(cell), sum(cell), min(cell), max(cell), sum([value * value for value in cell]))
            for key, cell in cells.items()
        ]

    return plain


def _ways() -> dict[str, Way]:
    typed = msgspec.json.Decoder(list[Message])
    ways: dict[str, Way] = {
        OURS: _ours(),
        "reference": _reference(),
        "json + fromisoformat": _event_by_event(json.loads),
        "msgspec parse only": lambda batch: msgspec.json.decode(_array(batch)),
        "msgspec typed parse only": lambda batch: typed.decode(_array(batch)),
        "pyarrow.json": _pyarrow(),
    }
    if "orjson" not in _missing():
        import orjson

        ways["orjson per event"] = _event_by_event(orjson.loads)
    if "polars" not in _missing():
        ways["polars"] = _polars()
    if "duckdb" not in _missing():
        ways["duckdb"] = _duckdb()
    return ways


def _missing() -> list[str]:
    return [name for name in ("orjson", "polars", "duckdb") if find_spec(name) is None]


def _array(batch: Batch) -> bytes:
    return b"[" + b",".join(batch) + b"]"


def _pyarrow() -> Way:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import json as arrow_json

    schema = pa.schema([("TS", pa.string()), ("Device", pa.int64()), ("Tag", pa.int64()), ("Value", pa.float64())])
    options = arrow_json.ParseOptions(explicit_schema=schema)

    def way(batch: Batch) -> object:
        table = arrow_json.read_json(io.BytesIO(b"\n".join(batch)), parse_options=options)
        # Timestamps have seven fraction digits, that is units of 100 ns.
        times = pc.cast(pc.utf8_slice_codeunits(table["TS"], 0, 26), pa.timestamp("us"))
        before = pc.subtract(times, pa.scalar(1, pa.duration("us")))
        ends = pc.ceil_temporal(before, _WINDOW_SECONDS, "second", ceil_is_strictly_greater=True)
        table = table.append_column("end", ends).append_column("Square", pc.multiply(table["Value"], table["Value"]))
        columns = [("Value", "count"), ("Value", "sum"), ("Value", "min"), ("Value", "max"), ("Square", "sum")]
        return table.group_by(["Device", "Tag", "end"]).aggregate(columns)

    return way


def _polars() -> Way:
    import polars as pl

    schema = {"TS": pl.String, "Device": pl.Int64, "Tag": pl.Int64, "Value": pl.Float64}

    def way(batch: Batch) -> object:
        frame = pl.read_ndjson(io.BytesIO(b"\n".join(batch)), schema=schema).lazy()
        end = pl.col("TS").str.slice(0, 27).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="ns")
        value = pl.col("Value")
        return (
            frame.with_columns(end=(end - pl.duration(nanoseconds=1)).dt.truncate("5s"))
            .group_by("Device", "Tag", "end")
            .agg(
                value.len().alias("n"),
                value.sum().alias("sum"),
                value.min().alias("min"),
                value.max().alias("max"),
                (value * value).sum().alias("squares"),
            )
            .collect()
        )

    return way


def _duckdb() -> Way:
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect()
    query = """
        WITH parsed AS (
            SELECT json_transform(
                body, '{"TS": "VARCHAR", "Device": "BIGINT", "Tag": "BIGINT", "Value": "DOUBLE"}'
            ) AS m
            FROM batch
        ), timed AS (
            SELECT m.Device AS device, m.Tag AS tag, m.Value AS value,
                   ceil(epoch(m.TS::TIMESTAMP) / 5) * 5 AS window_end
            FROM parsed
        )
        SELECT device, tag, window_end, count(*), sum(value), min(value), max(value), sum(value * value)
        FROM timed GROUP BY ALL"""

    def way(batch: Batch) -> object:
        connection.register("batch", pa.table({"body": pa.array(batch, pa.string())}))
        return connection.execute(query).fetchall()

    return way
