"""``sensorwatch labels import``: what the other commands write, CSV, and rows with mistakes."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sensorwatch.cli.labels import labelled_spans
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.sensors.labels import LabelSpan
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings.text_files import escape_cell
from sensorwatch.store import open_store

DAY = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())
SPANS = [LabelSpan(0, DAY + 65, DAY + 120, True), LabelSpan(0, DAY + 65, DAY + 120, False)]
EXPORTED = {
    "device": "=press",
    "tag": "heat",
    "alert_id": "0-1",
    "kind": "anomaly",
    "label": "confirmed",
    "opened": "2026-12-01T00:01:05Z",
    "last_anomaly": "2026-12-01T00:02:00Z",
    "cleared": None,
    "peak_score": 90.0,
}


def spans(folder: Path, name: str, text: str) -> list[LabelSpan]:
    store = open_store(f"sqlite:///{folder}/store.db", shard_size=1000)
    store.sensor_ids([SensorKey("=press", "heat"), SensorKey("1", "heat")])
    (folder / name).write_text(text, encoding="utf-8")
    try:
        return labelled_spans(folder / name, store.sensors(), 5)
    finally:
        store.dispose()


@pytest.mark.parametrize(
    "text",
    [
        "device,tag,kind,start,end\n'=press,heat,spike,2026-12-01T00:01:00Z,2026-12-01T00:02:00Z\n",
        "\ufeffEnd, Start,Device,Tag\r\n2026-12-01 00:02,2026-12-01T01:01:00+01:00,=press,heat\r\n\r\n",
    ],
)
def test_csv_is_read_by_the_names_of_its_columns(tmp_path: Path, text: str) -> None:
    assert spans(tmp_path, "labels.csv", text) == SPANS


def test_a_time_without_an_offset_is_in_utc_and_a_number_may_be_a_name(tmp_path: Path) -> None:
    line = '{"device": 1, "tag": "heat", "start": "2026-12-01T00:01", "end": "2026-12-01T00:02"}'
    assert spans(tmp_path, "labels.ndjson", line) == [span._replace(sensor_id=1) for span in SPANS]


@pytest.mark.parametrize(("verdict", "anomalous"), [("confirmed", True), ("false-alarm", False), ("expected", False)])
def test_the_output_of_labels_export_can_be_imported(tmp_path: Path, verdict: str, anomalous: bool) -> None:
    row = EXPORTED | {"label": verdict}
    silent = row | {"kind": "no-data"}
    with (tmp_path / "out.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, row)
        writer.writeheader()
        for each in (row, silent):
            writer.writerow({name: escape_cell(cell) if isinstance(cell, str) else cell for name, cell in each.items()})
    expected = [LabelSpan(0, DAY + 65, DAY + 120, anomalous)]
    assert spans(tmp_path, "a.csv", (tmp_path / "out.csv").read_text(encoding="utf-8")) == expected
    assert spans(tmp_path, "a.ndjson", f"{json.dumps(row)}\n{json.dumps(silent)}\n") == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": ""}, "line 2: .*; device: got nothing"),
        ({"device": "nobody"}, "line 2: no sensor with device nobody and tag heat"),
        ({"tag": None}, "line 2: .*; tag: got nothing"),
        ({"opened": "yesterday"}, "line 2: .*; opened: expected a time like .*, got `yesterday`"),
        ({"last_anomaly": None}, "line 2: .*; last_anomaly: got nothing"),
        ({"last_anomaly": "2026-11-01"}, "line 2: last_anomaly: expected a time not before `opened`"),
        ({"label": "maybe"}, "line 2: label: expected one of confirmed, .*, got `maybe`"),
    ],
)
def test_the_offending_part_of_a_row_is_named(tmp_path: Path, change: dict[str, str | None], message: str) -> None:
    with pytest.raises((InvalidInputError, NotFoundError), match=message):
        spans(tmp_path, "a.ndjson", f"{json.dumps(EXPORTED)}\n{json.dumps(EXPORTED | change)}\n")
    cells = [["" if cell is None else str(cell) for cell in row.values()] for row in (EXPORTED, EXPORTED | change)]
    text = "\n".join(",".join(row) for row in [list(EXPORTED), *cells])
    with pytest.raises((InvalidInputError, NotFoundError), match=message.replace("line 2", "line 3")):
        spans(tmp_path, "a.csv", text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("device;tag;start;end\n", "line 1: .*; the header is `device;tag;start;end`"),
        ("", "line 1: .*; the header is ``"),
        ("device,tag,start,end,kind\n=press,heat,2026-12-01,2026-12-02,mood\n", "line 2: .*; kind: got `mood`"),
        ("device,tag,start,end\n=press,heat,2026-12-02,2026-12-01\n", "line 2: expected `end` not before `start`"),
    ],
)
def test_a_csv_file_with_mistakes_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        spans(tmp_path, "a.csv", text)
