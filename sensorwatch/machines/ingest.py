"""Files with machines' data sets become checked rows in the store; taken in twice, they change nothing."""

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
    """What became of one data set.

    Attributes
    ----------
    rows, rejected
        Rows stored, and rows left out.
    reasons
        Rows left out by reason.
    files
        Files made; 0 if all had been taken in before.
    rejects_in
        Where the rejected rows are listed, by number and reason: the first ten thousand.
    """

    data_set: DataSet
    rows: int
    rejected: int
    reasons: dict[str, int]
    files: int
    rejects_in: str | None


def find_sources(folder: Path) -> dict[DataSet, list[Path]]:
    """Return each data set's files in a folder: ``telemetry.csv``, ``telemetry.parquet``, ``telemetry-2015.csv``, ….

    Raises
    ------
    InvalidInputError
        There is no such folder, or none of the data sets is in it.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"{folder}: expected a folder with {', '.join(DATA_SETS)} as .csv or .parquet")
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
        raise InvalidInputError(f"{folder}: holds none of {', '.join(DATA_SETS)} as .csv or .parquet")
    return found


def ingest_machines(
    sources: dict[DataSet, list[Path]], *, store: MachineStore, data: MachineData
) -> list[IngestedDataSet]:
    """Take in the rows of files; machines first, as rows of machines that nobody knows are left out.

    Raises
    ------
    InvalidInputError
        A file is not CSV or Parquet, or lacks columns. What came before it is stored, and may be taken in again.
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
            reasons.update(["row: another number of columns"] * malformed)
            listed += [Reject(reject.row + before, f"{file.name}: {reject.reason}") for reject in checked.rejects]
            before += table.num_rows
            if data_set == "machines":
                store.put_machines([MachineInfo(*row.values()) for row in checked.rows.to_pylist()])
            elif checked.rows.num_rows:
                made += data.add(data_set, checked.rows)
    place = data.add_rejects(data_set, str(files[0].name), listed[:_SHOWN_REJECTS]) if listed else None
    return IngestedDataSet(data_set, rows, sum(reasons.values()), dict(reasons.most_common()), made, place)


def _tables(file: Path) -> Iterator[tuple[pa.Table, int]]:
    """Yield a file's rows in parts, with how many lines were skipped as they have another number of columns."""
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
