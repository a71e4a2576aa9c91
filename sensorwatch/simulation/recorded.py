"""Recorded readings from a CSV file with the columns TS, Device, Tag and Value, in any order of columns and rows."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import ReadingRules, decode, ticks_of, time_of
from sensorwatch.ingestion.records import Reading, Rejected
from sensorwatch.settings.text_files import decode_text, unescape_cell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

__all__ = ["BadRow", "Recording", "read_recording"]

_COLUMNS = ("TS", "Device", "Tag", "Value")
_FOREVER = 1 << 62
# A recording may be of any time, so no reading is too old or too far in the future.
_RULES = ReadingRules(earliest_ticks=-_FOREVER, future_ticks=_FOREVER)


class BadRow(NamedTuple):
    """A row that can't be used.

    Attributes
    ----------
    line
        Its line in the file; the header is line 1.
    reason
        Reason as a word, as for rejected messages.
    detail
        Reason as a sentence.
    """

    line: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Recording:
    """Readings of a file, oldest first, and its skipped rows."""

    readings: tuple[Reading, ...]
    skipped: tuple[BadRow, ...]

    def between(self, after: datetime | None, until: datetime | None) -> Recording:
        """Return the readings with ``after < time <= until`` (aware; None: no bound).

        Raises
        ------
        InvalidInputError
            The range has no readings.
        """
        low = -_FOREVER if after is None else ticks_of(after)
        high = _FOREVER if until is None else ticks_of(until)
        readings = tuple(reading for reading in self.readings if low < reading.ticks <= high)
        if not readings:
            first, last = (time_of(reading.ticks).isoformat() for reading in (self.readings[0], self.readings[-1]))
            raise InvalidInputError(
                f"no readings after {after} and until {until}; the file has readings from {first} to {last}"
            )
        return Recording(readings, self.skipped)

    def shifted_to(self, last: datetime) -> Recording:
        """Return the recording with all times shifted so that its last reading is at ``last`` (aware)."""
        by = ticks_of(last) - self.readings[-1].ticks
        moved = tuple(reading._replace(ticks=reading.ticks + by) for reading in self.readings)
        return Recording(moved, self.skipped)


def read_recording(path: Path) -> Recording:
    """Read a CSV file.

    The first line has the names of the columns, in any order and case; other columns are ignored. A TS without a zone
    is in UTC. Rows with the same time keep their order.

    Raises
    ------
    InvalidInputError
        The file is missing, is not CSV in UTF-8, lacks a column, or has no usable row.
    """
    readings: list[Reading] = []
    skipped: list[BadRow] = []
    try:
        rows = csv.reader(io.StringIO(decode_text(path.read_bytes()), newline=""))
        columns = _columns(path, next(rows, []))
        for row in rows:
            if row:
                element = _reading(row, columns)
                if isinstance(element, Reading):
                    readings.append(element)
                else:
                    skipped.append(BadRow(rows.line_num, element.reason, element.detail))
    except OSError as exc:
        raise InvalidInputError(f"{path}: can't be read: {exc.strerror}; expected a CSV file") from exc
    except (ValueError, csv.Error) as exc:
        raise InvalidInputError(f"{path}: expected CSV, got: {exc}") from exc
    if not readings:
        first = f"; the first is line {skipped[0].line}: {skipped[0].detail}" if skipped else ""
        raise InvalidInputError(f"{path}: expected at least one usable row, got none; bad rows: {len(skipped)}{first}")
    readings.sort(key=lambda reading: reading.ticks)
    return Recording(tuple(readings), tuple(skipped))


def _columns(path: Path, header: list[str]) -> Mapping[str, int]:
    names = [name.strip().lower() for name in header]
    missing = [column for column in _COLUMNS if column.lower() not in names]
    if missing:
        got = f"`{','.join(header)[:100]}`" if header else "nothing"
        raise InvalidInputError(
            f"{path}: column {' and '.join(missing)} missing; expected a first line with TS,Device,Tag,Value, got {got}"
        )
    return {column: names.index(column.lower()) for column in _COLUMNS}


def _reading(row: list[str], columns: Mapping[str, int]) -> Reading | Rejected:
    if len(row) <= max(columns.values()):
        return Rejected("missing-field", f"the row has {len(row)} fields, {max(columns.values()) + 1} are needed")
    fields: dict[str, object] = {column: unescape_cell(row[position].strip()) for column, position in columns.items()}
    try:
        fields["Value"] = float(row[columns["Value"]])
    except ValueError:
        return Rejected("wrong-type", f"Value is `{row[columns['Value']][:60]}`; expected a number")
    # Rows are checked as messages are, so that a reading that is sent is not rejected on arrival.
    return decode(json.dumps(fields).encode(), enqueued_ticks=0, rules=_RULES)[0]
