from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.models.scoring.file_windows import FileWindows, parse_data, read_data
from sensorwatch.sensors.records import SensorKey, SensorStatus

MIDNIGHT = datetime(2018, 8, 29, tzinfo=UTC)
SENSORS = [
    SensorStatus(i, SensorKey(device, tag), i // 2, MIDNIGHT, None, "ready", "", None, "")
    for i, (device, tag) in enumerate([("1", "1"), ("1", "4"), ("press", "temp")])
]


def parse(text: str) -> FileWindows:
    return parse_data("hour.csv", text.encode(), SENSORS, 5)


def test_rows_become_the_windows_that_end_at_or_after_them() -> None:
    data = parse(
        "TS,Device,Tag,Value\n"
        "2018-08-29 00:00:05.000,1,4,10.5\n"
        "2018-08-29T00:00:05.001Z,1,4,11.5\n"
        "2018-08-29T02:00:05+02:00,press,temp,3\n"
    )
    first = int(MIDNIGHT.timestamp()) + 5
    assert data.windows.sensor_id.tolist() == [1, 1, 2]
    assert data.windows.end.tolist() == [first, first + 5, first]
    assert data.windows.value.tolist() == [10.5, 11.5, 3.0]
    assert data.shards == [0, 1]
    assert data.end == MIDNIGHT + timedelta(seconds=10)


def test_rows_of_one_window_are_averaged() -> None:
    data = parse("TS,Device,Tag,Value\n2018-08-29T00:00:01Z,1,1,1\n2018-08-29T00:00:05Z,1,1,2\n")
    assert (data.windows.value.tolist(), data.windows.count.tolist()) == ([1.5], [2])


def test_windows_are_read_by_shard_and_time() -> None:
    data = parse("TS,Device,Tag,Value\n" + "".join(f"2018-08-29T00:00:{s:02}Z,1,1,{s}\n" for s in (5, 10, 15)))
    found = data.read_windows(0, MIDNIGHT + timedelta(seconds=5), MIDNIGHT + timedelta(seconds=10))
    assert found.value.tolist() == [10.0]
    assert data.read_windows(1, None, data.end).value.tolist() == []
    assert data.read_rescore_windows(0, data.end).value.tolist() == []


def test_unusable_rows_are_counted_and_named() -> None:
    data = parse(
        "TS,Device,Tag,Value\nsoon,1,1,1\n2018-08-29T00:00:05Z,1,1,high\n2018-08-29T00:00:05Z,1,1,\n"
        "2018-08-29T00:00:05Z,9,9,1\n2018-08-29T00:00:05Z,1,1,7\n2018-08-29T00:00:05Z,1,1,inf\n"
    )
    assert data.windows.value.tolist() == [7.0]
    assert (data.unusable_rows, data.unknown_sensors) == (4, (SensorKey("9", "9"),))
    assert "1 unknown sensors are left out, the first is 9 9" in str(data)


def test_parquet_with_numbers_for_names_is_read() -> None:
    frame = pd.DataFrame({"TS": [pd.Timestamp("2018-08-29T00:00:05")], "Device": [1], "Tag": [4], "Value": [2.0]})
    sink = io.BytesIO()
    frame.to_parquet(sink)
    data = parse_data("x/hour.parquet", sink.getvalue(), SENSORS, 5)
    assert data.windows.sensor_id.tolist() == [1]
    assert data.windows.end.tolist() == [int(MIDNIGHT.timestamp()) + 5]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("hour.txt", b"", "a name that ends in .csv or .parquet"),
        ("hour.csv", b"TS,Device,Value\n", r"missing: Tag"),
        ("hour.csv", b"", "expected csv, got 0 bytes"),
        ("hour.parquet", b"nothing", "expected parquet, got 7 bytes"),
    ],
)
def test_another_file_is_refused(name: str, content: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_data(name, content, SENSORS, 5)


def test_a_place_that_is_neither_a_file_nor_a_blob_is_refused() -> None:
    with pytest.raises(NotFoundError, match="CONTAINER/NAME"):
        read_data("nowhere.csv", lambda: pytest.fail("there is no blob to ask for"))


def test_data_without_a_known_sensor_hold_nothing_to_score() -> None:
    with pytest.raises(InvalidInputError, match="nothing to score: 0 windows of 0 sensors; 1 unknown"):
        _ = parse("TS,Device,Tag,Value\n2018-08-29T00:00:05Z,9,9,1\n").end
