"""Output of a fleet as the five data sets: checked rows, and files in the format of the original system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.machines.datasets import COLUMNS, schema_of
from sensorwatch.machines.fleet import COMPONENTS, ERRORS, HOUR_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sensorwatch.machines.datasets import DataSet
    from sensorwatch.machines.fleet import Events, Fleet

__all__ = ["FileFormat", "data_set_rows", "write_data_sets"]

FileFormat = Literal["csv", "parquet"]

_ROWS_AT_ONCE = 1_000_000


def data_set_rows(fleet: Fleet) -> Iterator[tuple[DataSet, pa.Table]]:
    """Yield each data set with its rows; :func:`sensorwatch.machines.datasets.schema_of` describes their columns."""
    machines, telemetry = fleet.machines, fleet.telemetry
    yield "machines", _table("machines", machines.machine_id, list(machines.model), machines.age)
    ids = machines.machine_id
    signals = telemetry.values.T
    yield "telemetry", _table("telemetry", telemetry.hour * HOUR_SECONDS, ids[telemetry.machine], *signals)
    yield "errors", _events("errors", fleet.errors, ids, ERRORS)
    yield "maint", _events("maint", fleet.replacements, ids, COMPONENTS)
    yield "failures", _events("failures", fleet.failures, ids, COMPONENTS)


def write_data_sets(fleet: Fleet, folder: Path, file_format: FileFormat) -> list[Path]:
    """Write one file for each data set, named after it, and return the paths.

    Parameters
    ----------
    fleet
        The fleet.
    folder
        Folder of the files, created if it is missing; existing files are replaced.
    file_format
        CSV files have times such as ``2015-01-01 06:00:00``, in UTC.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for data_set, rows in data_set_rows(fleet):
        path = folder / f"{data_set}.{file_format}"
        _write(rows, path, file_format)
        written.append(path)
    return written


def _write(rows: pa.Table, path: Path, file_format: FileFormat) -> None:
    if "datetime" in rows.column_names:
        times = rows["datetime"].cast(pa.timestamp("s", tz="UTC"))
        rows = rows.set_column(0, "datetime", times)
    if file_format == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(rows, path, compression="zstd")
        return
    from pyarrow import csv

    with path.open("wb") as sink:
        sink.write(f"{','.join(rows.column_names)}\n".encode())
        for batch in rows.to_batches(_ROWS_AT_ONCE):
            part = pa.Table.from_batches([batch])
            if "datetime" in part.column_names:
                part = part.set_column(0, "datetime", pc.strftime(part["datetime"], format="%Y-%m-%d %H:%M:%S"))
            csv.write_csv(part, sink, csv.WriteOptions(include_header=False, quoting_style="needed"))


def _events(
    data_set: DataSet, events: Events, ids: np.ndarray[tuple[int], np.dtype[np.int64]], kinds: tuple[str, ...]
) -> pa.Table:
    names = pa.array(kinds).take(pa.array(events.kind.astype(np.int64)))
    return _table(data_set, events.time, ids[events.machine], names)


def _table(data_set: DataSet, *columns: object) -> pa.Table:
    return pa.table(dict(zip(COLUMNS[data_set], columns, strict=True))).cast(schema_of(data_set))
