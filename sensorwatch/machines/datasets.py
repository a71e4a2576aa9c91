"""The five data sets: their columns, and the check of their rows.

==========  ==========================================================  =====================================
Data set    Columns                                                     Meaning of a row
==========  ==========================================================  =====================================
machines    machineID, model, age                                       a machine; age in years
telemetry   datetime, machineID, volt, rotate, pressure, vibration      its signals over the hour that ended
errors      datetime, machineID, errorID                                an error, ``error1`` to ``error5``
maint       datetime, machineID, comp                                   a replacement, ``comp1`` to ``comp4``
failures    datetime, machineID, failure                                a failure, ``comp1`` to ``comp4``
==========  ==========================================================  =====================================

Times are ISO 8601, with a space or a T, and in UTC unless they contain an offset. Machine ids are whole numbers.
Columns are texts or have the types that they mean. Rows that cannot be used are left out, with a reason, and do not
affect other rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sensorwatch.errors import InvalidInputError
from sensorwatch.machines.fleet import COMPONENTS, ERRORS, SIGNALS

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["COLUMNS", "DATA_SETS", "Checked", "DataSet", "Reject", "check_rows", "schema_of"]

DataSet = Literal["machines", "telemetry", "errors", "maint", "failures"]

COLUMNS: dict[DataSet, tuple[str, ...]] = {
    "machines": ("machineID", "model", "age"),
    "telemetry": ("datetime", "machineID", *SIGNALS),
    "errors": ("datetime", "machineID", "errorID"),
    "maint": ("datetime", "machineID", "comp"),
    "failures": ("datetime", "machineID", "failure"),
}
"""Required columns of each data set; others are ignored."""

DATA_SETS: tuple[DataSet, ...] = ("machines", "telemetry", "errors", "maint", "failures")

_KINDS = {"errorID": ERRORS, "comp": COMPONENTS, "failure": COMPONENTS}
_LARGEST_ID = 2**31 - 1
_LARGEST_SIGNAL = 1e9
_OLDEST_YEARS = 200.0
_EARLIEST = 0
_LATEST = 4_102_444_800
"""2100-01-01; later times are mistakes."""
_MODEL_LENGTH = 64
_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")


class Reject(NamedTuple):
    """Row that cannot be used: its number in the table, starting at 1, and the reason."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """Usable rows of a data set, with the columns of :func:`schema_of`, and the rejected rows."""

    data_set: DataSet
    rows: pa.Table
    rejects: tuple[Reject, ...]

    @property
    def reasons(self) -> dict[str, int]:
        """Number of rejected rows by reason, most frequent first."""
        return dict(Counter(reject.reason for reject in self.rejects).most_common())


def schema_of(data_set: DataSet) -> pa.Schema:
    """Return the schema of checked rows.

    Times are seconds since 1970-01-01T00:00:00Z, ids int64, signals float64.
    """
    types = {"datetime": pa.int64(), "machineID": pa.int64(), "age": pa.float64()}
    types |= dict.fromkeys(SIGNALS, pa.float64())
    return pa.schema([pa.field(name, types.get(name, pa.string()), nullable=False) for name in COLUMNS[data_set]])


def check_rows(data_set: DataSet, table: pa.Table, known_machines: Collection[int] | None = None) -> Checked:
    """Check the rows of a table.

    Parameters
    ----------
    data_set
        Data set of the rows.
    table
        Rows, with columns of texts or of the types that they mean.
    known_machines
        Ids of known machines; rows of others are rejected. None to accept all.

    Raises
    ------
    InvalidInputError
        A required column is missing.
    """
    missing = [name for name in COLUMNS[data_set] if name not in table.column_names]
    if missing:
        raise InvalidInputError(
            f"{data_set}: expected the columns {', '.join(COLUMNS[data_set])}, got {', '.join(table.column_names)} "
            f"(missing: {', '.join(missing)})"
        )
    columns: dict[str, pa.Array] = {}
    reasons = np.full(table.num_rows, "", dtype=object)
    for name in COLUMNS[data_set]:
        column, problem = _converted(name, table[name].combine_chunks())
        columns[name] = column
        bad = pc.is_null(column).to_numpy(zero_copy_only=False)
        reasons[bad & (reasons == "")] = problem
    if known_machines is not None:
        known = pc.is_in(columns["machineID"], pa.array(sorted(known_machines), pa.int64()))
        reasons[~known.to_numpy(zero_copy_only=False) & (reasons == "")] = "machineID: unknown machine"
    good = pa.array(reasons == "")
    rows = pa.Table.from_arrays(list(columns.values()), names=list(columns)).filter(good).cast(schema_of(data_set))
    bad_rows = np.flatnonzero(reasons != "")
    return Checked(data_set, rows, tuple(Reject(int(i) + 1, str(reasons[i])) for i in bad_rows.tolist()))


def _converted(name: str, column: pa.Array) -> tuple[pa.Array, str]:
    """Return the column's values, null for invalid ones, and the reason for those."""
    if name == "datetime":
        return _within(_times(column), _EARLIEST, _LATEST), "datetime: expected a time from 1970 to 2100"
    if name == "machineID":
        return _within(_numbers(column, pa.int64()), 0, _LARGEST_ID), "machineID: expected a whole number of at least 0"
    if name == "age":
        problem = f"age: expected years from 0 to {_OLDEST_YEARS:g}"
        return _within(_numbers(column, pa.float64()), 0.0, _OLDEST_YEARS), problem
    if name in SIGNALS:
        problem = f"{name}: expected a finite number"
        return _within(_numbers(column, pa.float64()), -_LARGEST_SIGNAL, _LARGEST_SIGNAL), problem
    texts = column.cast(pa.string())
    if name in _KINDS:
        allowed = _KINDS[name]
        known = pc.is_in(texts, pa.array(allowed))
        return pc.if_else(known, texts, None), f"{name}: expected {allowed[0]} to {allowed[-1]}"
    length = pc.utf8_length(texts)
    fits = pc.and_(pc.greater(length, 0), pc.less_equal(length, _MODEL_LENGTH))
    return pc.if_else(fits, texts, None), f"{name}: expected 1 to {_MODEL_LENGTH} characters"


def _within(column: pa.Array, lowest: float, highest: float) -> pa.Array:
    # A comparison with NaN is false, so NaN becomes null as well.
    inside = pc.and_(pc.greater_equal(column, lowest), pc.less_equal(column, highest))
    return pc.if_else(inside, column, None)


def _numbers(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_floating(column.type) and pa.types.is_integer(kind):
        whole = pc.equal(pc.floor(column), column)
        return pc.if_else(pc.and_(whole, pc.less(pc.abs(column), 2.0**53)), column, None).cast(kind)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            return pa.nulls(len(column), kind)
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        digits = r"^[+-]?[0-9]{1,18}$" if pa.types.is_integer(kind) else r"^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$"
        return pc.if_else(pc.match_substring_regex(column, digits), column, None).cast(kind)


def _times(column: pa.Array) -> pa.Array:
    """Return seconds since 1970-01-01T00:00:00Z, rounded up so that an event is never known before it happened."""
    if pa.types.is_timestamp(column.type):
        return _seconds(column.cast(pa.timestamp("us", tz="UTC"), safe=False))
    texts = column.cast(pa.string())
    for time_format in _TIME_FORMATS:
        found = pc.strptime(texts, format=time_format, unit="s", error_is_null=True)
        if found.null_count == 0:
            return found.cast(pa.int64())
    import pandas as pd

    mixed = pd.to_datetime(pd.Series(texts.to_pandas()), utc=True, errors="coerce", format="ISO8601")
    return _seconds(pa.Array.from_pandas(mixed).cast(pa.timestamp("us", tz="UTC"), safe=False))


def _seconds(times: pa.Array) -> pa.Array:
    whole = pc.floor_temporal(times, unit="second")
    seconds = whole.cast(pa.timestamp("s", tz="UTC")).cast(pa.int64())
    return pc.if_else(pc.equal(whole, times), seconds, pc.add(seconds, 1))
