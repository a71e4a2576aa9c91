"""Short ways to write the records that the checks of the store are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.alerts.records import PublishOutcome
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.sensors.windows import WindowColumns
from sensorwatch.tasks.records import Run, TaskSpec

if TYPE_CHECKING:
    from sensorwatch.tasks.records import Kind

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
T0 = 1_795_169_700
"""NOW in seconds."""
HUB = Partition("readings", "$Default", "0")
SHARD_SIZE = 10
NOTHING = PublishOutcome(0, 0, 0, 0)


def at(seconds: int) -> datetime:
    return NOW + timedelta(seconds=seconds)


def checkpoint(number: int) -> OffsetCheckpoint:
    return OffsetCheckpoint(number, NOW + timedelta(microseconds=number))


def counts(accepted: int) -> IngestCounts:
    return IngestCounts(accepted + 3, accepted, 1, 1, 1)


def window(sensor_id: int, end: int, *values: float) -> Window:
    return Window(sensor_id, T0 + end, len(values), sum(values), min(values), max(values), sum(v * v for v in values))


def keys(count: int) -> list[SensorKey]:
    return [SensorKey(f"device-{i}", "temperature") for i in range(count)]


def columns(*rows: tuple[int, int, int]) -> WindowColumns:
    """Windows of (sensor id, end after NOW, count)."""
    table = np.array(rows, np.int64).reshape(-1, 3)
    return WindowColumns(table[:, 0], table[:, 1] + T0, np.zeros(len(rows)), table[:, 2])


def as_rows(found: WindowColumns) -> list[tuple[int, int, float, int]]:
    return list(
        zip(
            found.sensor_id.tolist(), (found.end - T0).tolist(), found.value.tolist(), found.count.tolist(), strict=True
        )
    )


def spec(run_id: str, shard: int, end: int, kind: Kind = "score", start: int | None = None) -> TaskSpec:
    return TaskSpec(run_id, f"shard-{shard:06}", kind, shard, None if start is None else at(start), at(end))


def run_of(*tasks: TaskSpec) -> Run:
    return Run(tasks[0].run_id, tasks[0].kind, tasks[0].end, tasks)
