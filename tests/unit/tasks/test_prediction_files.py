from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.errors import InvalidInputError
from sensorwatch.tasks.prediction_files import parse_predictions, predictions_to_bytes
from sensorwatch.tasks.prediction_schema import OPTIONAL, prediction_schema

Format = Literal["parquet", "csv"]
FORMATS: list[Format] = ["parquet", "csv"]


def row(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "sensor_id": 7,
        "device": "pump 1",
        "tag": "temperature",
        "ts": int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()),
        "value": 21.25,
        "prediction": -1,
        "score": 93.5,
        "severity": "high",
        "expected_low": 18.0,
        "expected_high": None,
        "model_version": "20261120T100000Z-0123456789abcdef",
        "rescored": False,
        "training_start": None,
        "training_end": None,
        "expected_value": None,
        "explanation": None,
        "warming": None,
    }
    return values | changes


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=prediction_schema())


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10)
rows = st.builds(
    row,
    sensor_id=st.integers(1, 2**40),
    device=text,
    tag=text,
    ts=st.integers(0, 4_000_000_000),
    value=st.floats(allow_nan=False),
    prediction=st.sampled_from([1, -1]),
    score=st.floats(0, 100),
    expected_low=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    rescored=st.booleans(),
    expected_value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    explanation=st.none() | text.filter(bool),
    training_start=st.none() | st.integers(0, 4_000_000_000),
    warming=st.none() | st.booleans(),
)


@pytest.mark.parametrize("file_format", FORMATS)
@given(st.lists(rows, max_size=5))
def test_predictions_come_back_as_they_were_written(file_format: Format, written: list[dict[str, Any]]) -> None:
    content = predictions_to_bytes(table(*written), file_format)
    assert parse_predictions(f"run=r/shard=000000.{file_format}", content).to_pylist() == written


def test_the_csv_begins_as_the_original_systems_does() -> None:
    first = row(device="3", tag="4", training_start=0, training_end=60, expected_value=20.5, explanation='{"a":1}')
    content = predictions_to_bytes(table(first, row(tag="heat", expected_low=None, rescored=True)), "csv")
    header, *lines = content.decode().splitlines()
    assert header == (
        "TS,Device,Tag,Val,Prediction,Score,Severity,ExpectedLow,ExpectedHigh,ModelVersion,SensorId,Rescored,"
        "TrainingStart,TrainingEnd,ExpectedValue,Explanation,Warming"
    )
    beginning = '"2026-11-20T12:00:00Z",{},21.25,-1,93.5,"high",{},,"20261120T100000Z-0123456789abcdef",7,{}'
    training = '"1970-01-01T00:00:00Z","1970-01-01T00:01:00Z"'
    assert lines == [
        beginning.format('"3","4"', "18", f'false,{training},20.5,"{{""a"":1}}",'),
        beginning.format('"pump 1","heat"', "", "true,,,,,"),
    ]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("lacking", [1, 3, 5])
def test_an_older_file_without_the_newer_columns_is_read(file_format: Format, lacking: int) -> None:
    content = predictions_to_bytes(table(row()), file_format)
    if file_format == "csv":
        names = ["TrainingStart", "TrainingEnd", "ExpectedValue", "Explanation", "Warming"][-lacking:]
        content = content.replace(("," + ",".join(names)).encode(), b"")
        content = content.replace(b"false,,,,,", b"false" + b"," * (5 - lacking))
    else:
        sink = pa.BufferOutputStream()
        pq.write_table(table(row()).drop_columns(list(OPTIONAL)[-lacking:]), sink)
        content = bytes(sink.getvalue())
    assert parse_predictions(f"x.{file_format}", content).to_pylist() == [row()]


def test_dictionary_encoded_columns_are_written_like_any() -> None:
    predictions = table(row(), row())
    encoded = predictions.set_column(1, "device", predictions["device"].dictionary_encode())
    for file_format in FORMATS:
        assert predictions_to_bytes(encoded, file_format) == predictions_to_bytes(predictions, file_format)


@pytest.mark.parametrize("name", ["a.json", "a", "a.parquet.tmp"])
def test_a_file_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"ends in \.parquet or \.csv"):
        parse_predictions(name, b"")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff\xfe", b"hello"])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_damaged_prediction_file_is_refused_by_name(file_format: Format, content: bytes) -> None:
    with pytest.raises(InvalidInputError, match=rf"`x\.{file_format}`: expected"):
        parse_predictions(f"x.{file_format}", content)


def test_a_missing_csv_column_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"missing: Score, Severity, .*Rescored"):
        parse_predictions("x.csv", b"TS,Device,Tag,Val,Prediction\n2026-11-20T12:00:00Z,1,1,2.0,1\n")


@pytest.mark.parametrize(
    ("wrong", "instead"), [("2026-11-20T12:00:00Z", "noon"), ("21.25", "warm"), (",7,", ",seven,"), ("21.25", "")]
)
def test_a_wrong_value_in_csv_is_refused(wrong: str, instead: str) -> None:
    content = predictions_to_bytes(table(row()), "csv").replace(wrong.encode(), instead.encode(), 1)
    with pytest.raises(InvalidInputError, match=r"x\.csv"):
        parse_predictions("x.csv", content)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidInputError, match="missing: score, rescored"):
        predictions_to_bytes(table(row()).drop_columns(["score", "rescored"]), "parquet")


@pytest.mark.parametrize("changes", [{"prediction": 0}, {"score": 101.0}, {"score": -1.0}, {"score": float("nan")}])
@pytest.mark.parametrize("file_format", FORMATS)
def test_impossible_predictions_are_refused(file_format: Format, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="expected every"):
        predictions_to_bytes(table(row(**changes)), file_format)


def test_a_row_without_a_sensor_is_refused() -> None:
    empty = table(row()).to_pylist()
    empty[0]["sensor_id"] = None
    nullable = pa.schema([field.with_nullable(True) for field in prediction_schema()])
    with pytest.raises(InvalidInputError, match="some are empty in: sensor_id"):
        predictions_to_bytes(pa.Table.from_pylist(empty, schema=nullable), "parquet")


def test_importing_the_module_loads_no_pyarrow() -> None:
    code = (
        "import sys, sensorwatch.tasks.prediction_files; assert not {'pyarrow', 'numpy', 'pandas'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
