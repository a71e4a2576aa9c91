"""Data of machines in a blob container, sharded by machine.

::

    telemetry/shard=000003/month=2015-06/0123456789abcdef.parquet     checked rows, named after their content
    rejects/telemetry/0123456789abcdef.csv                            rejected rows: row, reason

Files are only added. Rows that are imported again are in a file of the same name, or are merged when they are read.
Therefore importing the same data twice, or again after a crash, changes nothing.
"""

from __future__ import annotations

import hashlib
import io
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sensorwatch.azure.blobs import translate_blob_errors
from sensorwatch.errors import InvalidInputError
from sensorwatch.machines.datasets import schema_of
from sensorwatch.settings.text_files import escape_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azure.storage.blob import ContainerClient

    from sensorwatch.machines.datasets import DataSet, Reject

__all__ = ["BlobMachineData"]

_NAME_DIGITS = 16
_PART = re.compile(r"\w+/shard=(\d+)/month=(\d{4}-\d{2})/[0-9a-f]+\.parquet")


class BlobMachineData:
    """Data of machines in one blob container; implements :class:`~sensorwatch.machines.ports.MachineData`.

    Parameters
    ----------
    container
        Client of the container, which must exist.
    shard_machines
        Number of consecutive machine ids in a shard.
    """

    def __init__(self, container: ContainerClient, shard_machines: int) -> None:
        self._container = container
        self._shard_machines = shard_machines

    def add(self, data_set: DataSet, rows: pa.Table) -> int:
        """Store checked rows; return the number of new files."""
        shard = rows["machineID"].to_numpy() // self._shard_machines
        month = rows["datetime"].to_numpy().astype("datetime64[s]").astype("datetime64[M]")
        keys = np.column_stack([shard, month.astype(np.int64)])
        distinct, group = np.unique(keys, axis=0, return_inverse=True)
        group = group.ravel()
        order = np.argsort(group, kind="stable")
        ends = np.searchsorted(group[order], np.arange(len(distinct)), side="right")
        added, begin = 0, 0
        for (of_shard, of_month), end in zip(distinct.tolist(), ends.tolist(), strict=True):
            part = rows.take(pa.array(order[begin:end]))
            folder = f"{_folder(data_set, of_shard)}month={np.datetime64(of_month, 'M')}/"
            added += self._store(folder, part.sort_by([("machineID", "ascending"), ("datetime", "ascending")]))
            begin = end
        return added

    def add_rejects(self, data_set: DataSet, source: str, rejects: Sequence[Reject]) -> str:
        """Store the rejected rows of a source with their reasons; return the name of the blob.

        Parameters
        ----------
        data_set
            Data set of the rows.
        source
            Name of the source, such as a file name.
        rejects
            Rejected rows.
        """
        reasons = [escape_cell(reject.reason).replace('"', '""') for reject in rejects]
        lines = ["row,reason", *(f'{each.row},"{reason}"' for each, reason in zip(rejects, reasons, strict=True))]
        content = ("\n".join(lines) + "\n").encode()
        name = f"rejects/{data_set}/{hashlib.sha256(source.encode() + content).hexdigest()[:_NAME_DIGITS]}.csv"
        with translate_blob_errors():
            self._container.upload_blob(name, content, overwrite=True)
        return name

    def shards(self) -> list[int]:
        """Return the shards that have telemetry, in order."""
        with translate_blob_errors():
            names = list(self._container.list_blob_names(name_starts_with="telemetry/"))
        return sorted({int(match[1]) for name in names if (match := _PART.fullmatch(name))})

    def read(self, data_set: DataSet, shards: Sequence[int], start: int | None, end: int) -> pa.Table:
        """Return rows of a data set.

        Parameters
        ----------
        data_set
            The data set.
        shards
            Shards to read.
        start
            Only rows after this time (exclusive), in seconds since 1970-01-01T00:00:00Z; None for no limit.
        end
            Only rows up to this time (inclusive), in the same unit.

        Raises
        ------
        InvalidInputError
            A file is not a Parquet file of this data set.
        """
        schema = schema_of(data_set)
        parts = [self._part(name, schema, start, end) for name in self._names(data_set, shards, start, end)]
        return pa.concat_tables([schema.empty_table(), *parts])

    def newest(self, data_set: DataSet = "telemetry") -> int | None:
        """Return the time of the newest row in seconds since 1970-01-01T00:00:00Z; None if there are no rows."""
        with translate_blob_errors():
            names = list(self._container.list_blob_names(name_starts_with=f"{data_set}/"))
        found = [(match[2], name) for name in names if (match := _PART.fullmatch(name))]
        if not found:
            return None
        last = max(month for month, _ in found)
        schema = schema_of(data_set)
        newest: list[int | None] = [
            pc.max(self._part(name, schema, None, 2**62)["datetime"]).as_py() for month, name in found if month == last
        ]
        return max((each for each in newest if each is not None), default=None)

    def _names(self, data_set: DataSet, shards: Sequence[int], start: int | None, end: int) -> Iterator[str]:
        first = "" if start is None else _month(start)
        for shard in shards:
            with translate_blob_errors():
                names = sorted(self._container.list_blob_names(name_starts_with=_folder(data_set, shard)))
            for name in names:
                match = _PART.fullmatch(name)
                if match and first <= match[2] <= _month(end):
                    yield name

    def _part(self, name: str, schema: pa.Schema, start: int | None, end: int) -> pa.Table:
        with translate_blob_errors():
            content = self._container.download_blob(name).readall()
        try:
            table = pq.read_table(io.BytesIO(content)).select(schema.names).cast(schema)
        except (pa.ArrowException, KeyError, ValueError) as exc:
            raise InvalidInputError(f"{name}: expected Parquet with {', '.join(schema.names)}, got: {exc}") from exc
        wanted = pc.less_equal(table["datetime"], end)
        if start is not None:
            wanted = pc.and_(wanted, pc.greater(table["datetime"], start))
        return table.filter(wanted)

    def _store(self, folder: str, rows: pa.Table) -> int:
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd")
        content = sink.getvalue()
        blob = self._container.get_blob_client(f"{folder}{hashlib.sha256(content).hexdigest()[:_NAME_DIGITS]}.parquet")
        with translate_blob_errors():
            if blob.exists():
                return 0
            blob.upload_blob(content, overwrite=True)
        return 1


def _folder(data_set: DataSet, shard: int) -> str:
    return f"{data_set}/shard={shard:06d}/"


def _month(time: int) -> str:
    return datetime.fromtimestamp(min(max(time, 0), 253_402_300_799), UTC).strftime("%Y-%m")
