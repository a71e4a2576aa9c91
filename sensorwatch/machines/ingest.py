"""Import of data sets of machines from files; importing the same files twice changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sensorwatch.errors import InvalidInputError
from sensorwatch.machines.datasets import DATA_SETS, Reject, check_rows
from sensorwatch.machines.records import MachineInfo

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sensorwatch.machines.datasets import DataSet
    from sensorwatch.machines.ports import MachineData, MachineStore

__all__ = ["IngestedDataSet", "find_sources", "ingest_machines"]

_BLOCK_BYTES = 64 * 1024 * 1024
_SHOWN_REJECTS = 10_000


@dataclass(frozen=True, slots=True)
class IngestedDataSet:
    """Result of the import of one data set.

    Attributes
    ----------
    data_set
        Data set.
    rows, rejected
        Number of stored rows, and of rejected rows.
    reasons
        Number of rejected rows by reason.
    files
        Number of new files; 0 if all rows had been imported before.
    rejects_in
        Location of the list of rejected rows, the first ten thousand; None without rejected rows.
    """

    data_set: DataSet
    rows: int
    rejected: int
    reasons: dict[str, int]
    files: int
    rejects_in: str | None


def find_sources(folder: Path) -> dict[DataSet, list[Path]]:
    """Find the files of each data set, such as ``telemetry.csv``, ``telemetry.parquet`` and ``telemetry-2015.csv``.

    Raises
    ------
    InvalidInputError
        The folder does not exist, or contains none of the data sets.
    """
    if not folder.is_dir():
        raise InvalidInputError(
            f"{folder}: folder not found; expected one with {', '.join(DATA_SETS)} as .csv or .parquet"
        )
    found: dict[DataSet, list[Path]] = {}
    for data_set in DATA_SETS:
        files = sorted(
            path
            for path in folder.iterdir()
            if path.suffix in (".csv", ".parquet") and path.stem.partition("-")[0] == data_set
        )
        if files:
            found[data_set] = files
    if not found:
        raise InvalidInputError(f"{folder}: expected files named {', '.join(DATA_SETS)}, .csv or .parquet; found none")
    return found


def ingest_machines(
    sources: dict[DataSet, list[Path]], *, store: MachineStore, data: MachineData
) -> list[IngestedDataSet]:
    """Import the rows of files; machines first, because rows of unknown machines are rejected.

    Parameters
    ----------
    sources
        Files by data set, from :func:`find_sources`.
    store
        Catalogue of machines.
    data
        Data of machines.

    Raises
    ------
    InvalidInputError
        A file is not CSV or Parquet, or lacks columns. Earlier files are stored; importing them again is safe.
    """
    known: set[int] | None = None
    done = []
    for data_set in (each for each in DATA_SETS if each in sources):
        if data_set != "machines" and known is None:
            known = {machine.machine_id for machine in store.machines()}
        done.append(_ingest(data_set, sources[data_set], known, store, data))
    return done


def _ingest(
    data_set: DataSet, files: Sequence[Path], known: set[int] | None, store: MachineStore, data: MachineData
) -> IngestedDataSet:
    from collections import Counter

    rows = made = 0
    reasons: Counter[str] = Counter()
    listed: list[Reject] = []
    for file in files:
        before = 0
        for table, malformed in _tables(file):
            checked = check_rows(data_set, table, known)
            rows += checked.rows.num_rows
            reasons.update(reject.reason for reject in checked.rejects)
            reasons.update(["row: wrong number of columns"] * malformed)
            listed += [Reject(reject.row + before, f"{file.name}: {reject.reason}") for reject in checked.rejects]
            before += table.num_rows
            if data_set == "machines":
                store.put_machines([MachineInfo(*row.values()) for row in checked.rows.to_pylist()])
            elif checked.rows.num_rows:
                made += data.add(data_set, checked.rows)
    place = data.add_rejects(data_set, str(files[0].name), listed[:_SHOWN_REJECTS]) if listed else None
    return IngestedDataSet(data_set, rows, sum(reasons.values()), dict(reasons.most_common()), made, place)


def _tables(file: Path) -> Iterator[tuple[pa.Table, int]]:
    """Yield the rows of a file in parts, with the number of lines skipped because of a wrong number of columns."""
    try:
        yield from _parquet(file) if file.suffix == ".parquet" else _csv(file)
    except (pa.ArrowException, UnicodeDecodeError) as exc:
        raise InvalidInputError(f"{file}: expected {file.suffix[1:]}, got: {exc}") from exc


def _parquet(file: Path) -> Iterator[tuple[pa.Table, int]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as source:
        for batch in source.iter_batches(batch_size=2_000_000):
            yield pa.Table.from_batches([batch]), 0


def _csv(file: Path) -> Iterator[tuple[pa.Table, int]]:
    from pyarrow import csv

    with file.open(encoding="utf-8-sig") as lines:
        header = [name.strip().strip('"') for name in lines.readline().rstrip("\r\n").split(",")]
    skipped: list[int] = []

    def skip(_row: csv.InvalidRow) -> str:
        skipped.append(1)
        return "skip"

    with csv.open_csv(
        file,
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES, column_names=header, skip_rows=1),
        parse_options=csv.ParseOptions(invalid_row_handler=skip),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    ) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch]), len(skipped)
            skipped.clear()
