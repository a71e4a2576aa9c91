"""Rows of machines' data sets: what is left out, what is made one, and what the generator makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_fleets import START, fleet, rows_of
from pyarrow import csv

from sensorwatch.errors import InvalidInputError
from sensorwatch.machines.assembling import assemble
from sensorwatch.machines.datasets import COLUMNS, DATA_SETS, DataSet, check_rows, schema_of
from sensorwatch.machines.fleet import SIGNALS
from sensorwatch.machines.generator import generate_fleet
from sensorwatch.machines.writing import FileFormat, data_set_rows, write_data_sets

TELEMETRY_ROW: dict[str, str | None] = {
    "datetime": "2015-01-01 06:00:00",
    "machineID": "1",
    "volt": "170.5",
    "rotate": "450",
    "pressure": "1e2",
    "vibration": "40.25",
}


def texts(*changes: dict[str, str | None]) -> pa.Table:
    return pa.Table.from_pylist(
        [TELEMETRY_ROW | change for change in changes], pa.schema([(n, pa.string()) for n in TELEMETRY_ROW])
    )


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("datetime", "yesterday"),
        ("datetime", ""),
        ("datetime", None),
        ("datetime", "2999-01-01 00:00:00"),
        ("machineID", "one"),
        ("machineID", "-1"),
        ("machineID", "1.5"),
        ("machineID", "99999999999999999999"),
        ("volt", "nan"),
        ("volt", "inf"),
        ("volt", "12,5"),
        ("rotate", ""),
        ("vibration", None),
    ],
)
def test_a_bad_row_is_left_out_with_its_reason_and_stops_no_other(column: str, text: str | None) -> None:
    checked = check_rows("telemetry", texts({}, {column: text}, {"machineID": "2"}))
    assert checked.rows["machineID"].to_pylist() == [1, 2]
    (reject,) = checked.rejects
    assert reject.row == 2
    assert reject.reason.startswith(f"{column}: expected")
    assert checked.reasons == {reject.reason: 1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2015-01-01 06:00:00", START + 6 * 3600),
        ("2015-01-01T06:00:00Z", START + 6 * 3600),
        ("2015-01-01T06:00:00+02:00", START + 4 * 3600),
        ("2015-01-01 06:00", START + 6 * 3600),
        ("2015-01-01 06:00:00.25", START + 6 * 3600 + 1),
    ],
)
def test_times_may_be_written_in_several_ways(text: str, seconds: int) -> None:
    checked = check_rows("telemetry", texts({}, {"datetime": text}))
    assert checked.rows["datetime"].to_pylist() == [START + 6 * 3600, seconds]


@pytest.mark.parametrize(("data_set", "column"), [("errors", "errorID"), ("maint", "comp"), ("failures", "failure")])
def test_unknown_kinds_and_machines_are_left_out(data_set: DataSet, column: str) -> None:
    kind = "error5" if data_set == "errors" else "comp4"
    rows = [("1", kind), ("1", "comp9"), ("7", kind), ("1", None)]
    table = pa.Table.from_pylist([{"datetime": "2015-01-01 06:00:00", "machineID": m, column: k} for m, k in rows])
    checked = check_rows(data_set, table, known_machines=[1])
    assert checked.rows.num_rows == 1
    assert [reject.row for reject in checked.rejects] == [2, 3, 4]
    assert checked.rejects[1].reason == "machineID: unknown machine"


def test_machines_need_a_model_and_an_age() -> None:
    rows = [("1", "model1", "18"), ("2", "", "5"), ("3", "model2", "-1"), ("4", "model2", "old"), ("5", "x" * 65, "1")]
    table = pa.Table.from_pylist([dict(zip(COLUMNS["machines"], row, strict=True)) for row in rows])
    assert check_rows("machines", table).rows.to_pylist() == [{"machineID": 1, "model": "model1", "age": 18.0}]


def test_missing_columns_are_named() -> None:
    with pytest.raises(InvalidInputError, match="missing: vibration"):
        check_rows("telemetry", texts({}).drop_columns(["vibration"]))


def test_typed_columns_are_taken_as_they_are() -> None:
    table = pa.table(
        {
            "datetime": pa.array([START * 1000, None], pa.timestamp("ms")),
            "machineID": pa.array([1.0, 2.5]),
            "volt": pa.array([1, 2], pa.int32()),
            "rotate": pa.array([1.0, float("nan")]),
            "pressure": [1.0, 2.0],
            "vibration": [1.0, 2.0],
        }
    )
    checked = check_rows("telemetry", table)
    assert checked.rows.to_pylist() == [
        {"datetime": START, "machineID": 1, "volt": 1.0, "rotate": 1.0, "pressure": 1.0, "vibration": 1.0}
    ]


def reading(hour: int, machine: int, value: float) -> dict[str, object]:
    return {"datetime": START + 3600 * hour, "machineID": machine, **dict.fromkeys(SIGNALS, value)}


def assembled(*readings: dict[str, object]) -> tuple[list[float], object]:
    rows = {data_set: schema_of(data_set).empty_table() for data_set in DATA_SETS}
    rows["machines"] = pa.Table.from_pylist([{"machineID": 1, "model": "m", "age": 2.0}], schema_of("machines"))
    rows["telemetry"] = pa.Table.from_pylist(readings, schema_of("telemetry"))
    found, counts = assemble(rows)
    return found.telemetry.values[:, 0].tolist(), counts


def test_repeated_hours_are_averaged_gaps_and_strangers_counted() -> None:
    values, counts = assembled(
        reading(5, 1, 4.0), reading(1, 1, 1.0), reading(1, 1, 2.0), reading(3, 9, 1.0), reading(2, 1, 3.0)
    )
    assert values == [1.5, 3.0, 4.0]
    assert (counts.repeated_hours, counts.missing_hours, counts.unknown_machines) == (1, 2, 1)  # type: ignore[attr-defined]


def test_nothing_gives_an_empty_fleet() -> None:
    found, counts = assemble({data_set: schema_of(data_set).empty_table() for data_set in DATA_SETS})
    assert (len(found.machines.machine_id), counts.readings, counts.failures) == (0, 0, 0)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_neither_order_nor_repetition_changes_a_fleet(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = rows_of(fleet(2, 10))
    mixed = {
        name: pa.concat_tables([table, table.slice(3, 5)]).take(
            random.permutation(table.num_rows + len(table.slice(3, 5)))
        )
        for name, table in rows.items()
    }
    original, _ = assemble(rows)
    found, counts = assemble(mixed)
    np.testing.assert_array_equal(found.telemetry.hour, original.telemetry.hour)
    np.testing.assert_array_equal(found.telemetry.values, original.telemetry.values)
    np.testing.assert_array_equal(found.failures.time, original.failures.time)
    assert counts.repeated_hours == 5


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_written_data_sets_are_read_again_as_they_were(tmp_path: Path, file_format: FileFormat) -> None:
    whole = fleet(3, 15)
    paths = write_data_sets(whole, tmp_path, file_format)
    assert [path.name for path in paths] == [f"{name}.{file_format}" for name in DATA_SETS]
    rows: dict[DataSet, pa.Table] = {}
    for (data_set, expected), path in zip(data_set_rows(whole), paths, strict=True):
        table = csv.read_csv(path) if file_format == "csv" else pq.read_table(path)
        checked = check_rows(data_set, table)
        assert not checked.rejects
        assert checked.rows.equals(expected)
        rows[data_set] = checked.rows
    found, counts = assemble(rows)
    np.testing.assert_array_equal(found.telemetry.values, whole.telemetry.values)
    assert counts.repeated_hours == counts.repeated_events == 0


def test_equal_seeds_give_equal_fleets() -> None:
    one, same, other = (generate_fleet(4, 30, START, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.telemetry.values, same.telemetry.values)
    assert not np.array_equal(one.telemetry.values[:100], other.telemetry.values[:100])


def test_failures_follow_the_stated_physics() -> None:
    whole = generate_fleet(150, 365, START, 11)
    per_year = len(whole.failures.time) / 150
    assert 5 < per_year < 10
    replaced = set(zip(*(each.tolist() for each in whole.replacements), strict=True))
    assert {*zip(*(each.tolist() for each in whole.failures), strict=True)} <= replaced
    assert len(replaced) > 2 * len(whole.failures.time)
    old = whole.machines.age[whole.failures.machine].mean()
    assert old > whole.machines.age.mean() + 0.2
    near, healthy = [], []
    volt = dict(
        zip(
            zip(whole.telemetry.machine.tolist(), whole.telemetry.hour.tolist(), strict=True),
            whole.telemetry.values[:, 0].tolist(),
            strict=True,
        )
    )
    for machine, time, kind in zip(*(each.tolist() for each in whole.failures), strict=True):
        if kind == 0:
            near += [volt.get((machine, time // 3600 - back), np.nan) for back in range(12)]
            healthy += [volt.get((machine, time // 3600 - back), np.nan) for back in range(600, 612)]
    assert np.nanmean(near) > np.nanmean(healthy) + 10
