"""Ground-truth file: labels of injected faults, one JSON object per line.

::

    {"device": "oven-3", "tag": "flow", "kind": "spike", "start": "2026-11-20T10:04:01+00:00", "end": "2026-…"}

Readings with ``start <= time < end`` (UTC) are disturbed. ``kind`` is one of
:data:`sensorwatch.simulation.anomalies.LABEL_KINDS`.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sensorwatch.clock import parse_time_text
from sensorwatch.errors import InvalidInputError
from sensorwatch.settings.text_files import decode_text, unescape_cell
from sensorwatch.simulation.anomalies import LABEL_KINDS, InjectedAnomaly

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

__all__ = ["anomaly_of", "read_ground_truth", "read_label_rows", "text_field", "time_field", "write_ground_truth"]

_EXPECTED = (
    f"expected an object with device, tag, start, end and a kind among {', '.join(LABEL_KINDS)}, or a row of "
    "`sensorwatch labels export`"
)


def write_ground_truth(path: Path, anomalies: Iterable[InjectedAnomaly]) -> None:
    """Write labels to a file, replacing it; its folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            asdict(anomaly)
            | {"start": anomaly.start.astimezone(UTC).isoformat(), "end": anomaly.end.astimezone(UTC).isoformat()}
        )
        + "\n"
        for anomaly in anomalies
    ]
    path.write_text("".join(lines), encoding="utf-8")


def read_ground_truth(path: Path) -> list[InjectedAnomaly]:
    """Return the labels in a file.

    Raises
    ------
    InvalidInputError
        The file is missing, or a row is not a label.
    """
    return [anomaly_of(place, fields) for place, fields in read_label_rows(path)]


def read_label_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of a file of labels, each with its place for messages.

    A file whose name ends in ``.csv`` is CSV with a header; any other has one JSON object a line. Names of columns and
    fields are lower-cased.

    Raises
    ------
    InvalidInputError
        The file is missing, or a line is not an object.
    """
    try:
        text = decode_text(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise InvalidInputError(f"{path}: can't be read as a ground-truth file: {exc}") from exc
    if path.suffix.lower() == ".csv":
        rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
        try:
            found = [(f"{path}, line {rows.line_num}", _cells(row)) for row in rows]
        except csv.Error as exc:
            raise InvalidInputError(f"{path}, line {rows.line_num}: expected CSV, got: {exc}") from None
        header = [name.strip().lower() for name in rows.fieldnames or ()]
        if not {"device", "tag"} <= set(header):
            raise InvalidInputError(f"{path}, line 1: {_EXPECTED}; the header is `{','.join(header)[:100]}`")
        return found
    lines = enumerate(text.split("\n"), start=1)
    return [(place := f"{path}, line {number}", _object(place, line)) for number, line in lines if line.strip()]


def anomaly_of(place: str, fields: Mapping[str, Any]) -> InjectedAnomaly:
    """Return the label in a row with device, tag, start, end and, if it is known, a kind.

    Parameters
    ----------
    place
        File and line, for messages.
    fields
        The row.

    Raises
    ------
    InvalidInputError
        A field is missing or wrong; the message names it.
    """
    kind = next((kind for kind in LABEL_KINDS if kind == (fields.get("kind") or "marked")), None)
    if kind is None:
        raise InvalidInputError(f"{place}: {_EXPECTED}; kind: got `{fields['kind']}`")
    start, end = (time_field(place, fields, name) for name in ("start", "end"))
    if end < start:
        raise InvalidInputError(f"{place}: expected `end` not before `start`, got {start} and {end}")
    return InjectedAnomaly(text_field(place, fields, "device"), text_field(place, fields, "tag"), kind, start, end)


def text_field(place: str, fields: Mapping[str, Any], name: str) -> str:
    """Return a field that has a value; numbers count as their text.

    Parameters
    ----------
    place
        File and line, for messages.
    fields
        The row.
    name
        Name of the field.

    Raises
    ------
    InvalidInputError
        The field is missing or empty, or holds more than one value.
    """
    value = fields.get(name)
    if value in (None, "") or isinstance(value, bool | dict | list):
        got = "nothing" if value in (None, "") else f"`{value}`"
        raise InvalidInputError(f"{place}: {_EXPECTED}; {name}: got {got}")
    return str(value)


def time_field(place: str, fields: Mapping[str, Any], name: str) -> datetime:
    """Return the time in a field, in UTC.

    Parameters
    ----------
    place
        File and line, for messages.
    fields
        The row.
    name
        Name of the field.

    Raises
    ------
    InvalidInputError
        The field is missing or not a time.
    """
    text = text_field(place, fields, name)
    try:
        return parse_time_text(text)
    except ValueError as exc:
        raise InvalidInputError(f"{place}: {_EXPECTED}; {name}: {exc}") from None


def _object(place: str, line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError as exc:
        raise InvalidInputError(f"{place}: {_EXPECTED}; not JSON: {exc}; got `{line[:100]}`") from None
    if not isinstance(fields, dict):
        raise InvalidInputError(f"{place}: {_EXPECTED}; got `{line[:100]}`")
    return {name.lower(): value for name, value in fields.items()}


def _cells(row: Mapping[str, str | None]) -> dict[str, Any]:
    # Cells beyond the header have no name, and missing ones no text.
    cells = ((name, cell) for name, cell in row.items() if name and cell is not None)
    return {name.strip().lower(): unescape_cell(cell.strip()) for name, cell in cells}
