"""Machines' data sets in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.machines.datasets import schema_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.machines.datasets import DataSet, Reject

__all__ = ["FakeMachineData"]


class FakeMachineData:
    """Rows by data set, shard and month; what was added twice is kept once."""

    def __init__(self, shard_machines: int = 1000) -> None:
        self._shard_machines = shard_machines
        self._parts: dict[tuple[DataSet, int, str], list[pa.Table]] = {}
        self.rejects: dict[str, list[Reject]] = {}

    def add(self, data_set: DataSet, rows: pa.Table) -> int:
        split: dict[tuple[DataSet, int, str], list[dict[str, object]]] = {}
        for row in rows.sort_by([("machineID", "ascending"), ("datetime", "ascending")]).to_pylist():
            month = f"{datetime.fromtimestamp(row['datetime'], UTC):%Y-%m}"
            split.setdefault((data_set, row["machineID"] // self._shard_machines, month), []).append(row)
        added = 0
        for place, found in split.items():
            part, parts = pa.Table.from_pylist(found, schema_of(data_set)), self._parts.setdefault(place, [])
            if not any(part.equals(each) for each in parts):
                parts.append(part)
                added += 1
        return added

    def add_rejects(self, data_set: DataSet, source: str, rejects: Sequence[Reject]) -> str:
        place = f"rejects/{data_set}/{source}"
        self.rejects[place] = list(rejects)
        return place

    def shards(self) -> list[int]:
        return sorted({shard for data_set, shard, _ in self._parts if data_set == "telemetry"})

    def read(self, data_set: DataSet, shards: Sequence[int], start: int | None, end: int) -> pa.Table:
        places = sorted(place for place in self._parts if place[0] == data_set and place[1] in shards)
        found = [part for place in places for part in self._parts[place]]
        rows = pa.concat_tables([schema_of(data_set).empty_table(), *found])
        wanted = pc.less_equal(rows["datetime"], end)
        if start is not None:
            wanted = pc.and_(wanted, pc.greater(rows["datetime"], start))
        return rows.filter(wanted)

    def newest(self, data_set: DataSet = "telemetry") -> int | None:
        times = [
            pc.max(part["datetime"]).as_py()
            for place, found in self._parts.items()
            if place[0] == data_set
            for part in found
        ]
        return max(times, default=None)
