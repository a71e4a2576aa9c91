from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import ticks_of
from sensorwatch.ingestion.records import Reading
from sensorwatch.simulation.recorded import BadRow, read_recording

NINE = ticks_of(datetime(2018, 8, 28, 9, tzinfo=UTC))


def sample() -> Path:
    folder = os.environ.get("SENSORWATCH_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data"
    path = Path(folder) / "sensor_data.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there; SENSORWATCH_TEST_DATA names the folder with sensor_data.csv")
    return path


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return tmp_path / "readings.csv"


def test_rows_come_out_in_the_order_of_time(csv_file: Path) -> None:
    csv_file.write_text(
        "\ufeffvalue, Tag ,extra,DEVICE,ts\n"
        "2.5,b,,7,2018-08-28 09:00:01\n"
        "\n"
        '1,"a, quoted",,press-1,2018-08-28T11:00:00.0000001+02:00\n'
        "3,b,,7,2018-08-28 09:00:01\n",
        encoding="utf-8",
    )
    recording = read_recording(csv_file)
    assert recording.readings == (
        Reading("press-1", "a, quoted", NINE + 1, 1.0),
        Reading("7", "b", NINE + 10_000_000, 2.5),
        Reading("7", "b", NINE + 10_000_000, 3.0),
    )
    assert recording.skipped == ()


def test_bad_rows_are_skipped_with_line_and_reason(csv_file: Path) -> None:
    rows = ["2018-08-28 09:00:00,1,1,1", "yesterday,1,1,1", "2018-08-28 09:00:00,1,1,much", "2018-08-28 09:00:00,1,1"]
    rows += ["2018-08-28 09:00:00,,1,1", "2018-08-28 09:00:00,1,1,nan", ",1,1,1"]
    csv_file.write_text("\n".join(["TS,Device,Tag,Value", *rows]))
    recording = read_recording(csv_file)
    assert len(recording.readings) == 1
    assert [row[:2] for row in recording.skipped] == [
        (3, "bad-time"),
        (4, "wrong-type"),
        (5, "missing-field"),
        (6, "bad-name"),
        (7, "not-finite"),
        (8, "bad-time"),
    ]
    assert recording.skipped[1] == BadRow(4, "wrong-type", "Value is `much`; expected a number")


def test_a_recording_can_be_moved_to_end_at_a_time(csv_file: Path) -> None:
    csv_file.write_text("TS,Device,Tag,Value\n2018-08-28 09:00:00,1,1,1\n2018-08-28 09:00:07,1,1,2\n")
    last = datetime(2026, 11, 20, tzinfo=UTC)
    moved = read_recording(csv_file).shifted_to(last)
    assert [reading.ticks for reading in moved.readings] == [ticks_of(last) - 70_000_000, ticks_of(last)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "column TS and Device and Tag and Value missing; expected a first line with TS,Device,Tag,Value"),
        (b"TS,Device,Value\n", "column Tag missing; .*got `TS,Device,Value`"),
        (b"TS,Device,Tag,Value\n", "expected at least one usable row, got none; bad rows: 0"),
        (b"TS,Device,Tag,Value\nx,1,1,1\n", "got none; bad rows: 1; the first is line 2: TS: expected a time"),
        (b"\xff\xfeT\x00S\x00", "expected text in UTF-8, got UTF-16"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(csv_file: Path, content: bytes, message: str) -> None:
    csv_file.write_bytes(content)
    with pytest.raises(InvalidInputError, match=message):
        read_recording(csv_file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nowhere\.csv: can't be read: No such file or directory"):
        read_recording(tmp_path / "nowhere.csv")


def test_the_sample_file_is_read_to_the_last_row() -> None:
    recording = read_recording(sample())
    assert len(recording.readings) == 17_768
    assert recording.skipped == ()
    assert len({reading[:2] for reading in recording.readings}) == 15
    assert [x.ticks for x in recording.readings] == sorted(x.ticks for x in recording.readings)
