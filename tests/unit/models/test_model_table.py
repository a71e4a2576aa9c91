from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from sensorwatch.errors import CorruptModelError
from sensorwatch.models.table import (
    MODEL_SCHEMA,
    checksum,
    detectors_in,
    merge,
    models_from_bytes,
    models_to_bytes,
    params_column,
    with_version,
)

PARAMS = pa.struct([("mean", pa.float64()), ("weights", pa.list_(pa.float64()))])


def row(sensor_id: int, end: int | None = 1000, **changes: Any) -> dict[str, Any]:
    ready = end is not None
    values: dict[str, Any] = {
        "sensor_id": sensor_id,
        "detector": "ocsvm",
        "state": "ready" if ready else "warming",
        "reason": "" if ready else "7 of 100 windows",
        "windows": 720,
        "training_start": end - 900 if end is not None else None,
        "training_end": end,
        "first_training_end": end,
        "version": "",
        "center": -1.0 if ready else None,
        "level": -0.2 if ready else None,
        "tail_share": 0.02 if ready else None,
        "scale": 0.5 if ready else None,
        "shape": 0.1 if ready else None,
        "threshold": 0.0 if ready else None,
        "expected_low": 1.5 if ready else None,
        "expected_high": None,
        "params_ocsvm": {"mean": 0.1 * sensor_id, "weights": [1.0, 2.0]} if ready else None,
    }
    return values | changes


def table(*rows: dict[str, Any]) -> pa.Table:
    names = sorted({name for each in rows for name in each if name.startswith("params_")})
    return pa.Table.from_pylist(
        list(rows), schema=pa.schema([*MODEL_SCHEMA, *(pa.field(name, PARAMS) for name in names)])
    )


def test_models_come_back_from_bytes_as_they_were() -> None:
    models = table(row(1), row(2, None), row(5))
    content = models_to_bytes(models)
    assert models_from_bytes(content, checksum(content)).equals(models)


def test_equal_models_are_equal_bytes_however_they_came_about() -> None:
    at_once = merge(None, table(row(1), row(2, None), row(3)))
    in_turn = merge(merge(merge(None, table(row(3))), table(row(2, None))), table(row(1)))
    loaded = models_from_bytes(content := models_to_bytes(in_turn), checksum(content))
    assert models_to_bytes(at_once) == content == models_to_bytes(merge(loaded, table(row(1))))


def test_sensors_not_trained_now_keep_their_row() -> None:
    merged = merge(with_version(table(row(1), row(2)), "v1"), table(row(2, 2000)))
    assert merged["version"].to_pylist() == ["v1", ""]
    assert merged["training_end"].to_pylist() == [1000, 2000]


def test_the_end_of_the_first_training_is_carried_along() -> None:
    merged = merge(with_version(table(row(1)), "v1"), table(row(1, 2000)))
    assert merged["first_training_end"].to_pylist() == [1000]


def test_a_model_is_not_replaced_by_one_trained_on_older_windows() -> None:
    current = with_version(table(row(1, 2000)), "v2")
    assert merge(current, table(row(1, 1000))).equals(current)


def test_a_model_is_kept_as_stale_where_training_gave_none() -> None:
    (kept,) = merge(with_version(table(row(1)), "v1"), table(row(1, None))).to_pylist()
    assert (kept["state"], kept["reason"], kept["version"]) == ("stale", "7 of 100 windows", "v1")
    assert kept["params_ocsvm"] == row(1)["params_ocsvm"]


def test_a_stand_in_gives_way_and_never_takes_the_place_of_a_sensors_own_model() -> None:
    stands_in = row(1, 500, state="warming", reason="63 of 100 windows")
    assert merge(table(stands_in), table(row(1)))["state"].to_pylist() == ["ready"]
    assert merge(table(stands_in), table(row(1)))["first_training_end"].to_pylist() == [500]
    refused = row(1, None, state="failed", reason="it flags everything")
    (merged,) = merge(table(stands_in), table(refused)).to_pylist()
    assert (merged["state"], merged["reason"], merged["training_end"]) == ("failed", "it flags everything", None)
    newer = row(1, 2000, state="warming", reason="63 of 100 windows")
    kept = merge(table(row(1)), table(newer)).to_pylist()[0]
    assert (kept["state"], kept["reason"], kept["training_end"]) == ("stale", "63 of 100 windows", 1000)


def test_a_stale_model_is_ready_again_when_trained_again() -> None:
    stale = merge(with_version(table(row(1)), "v1"), table(row(1, None)))
    (fresh,) = merge(stale, table(row(1, 2000))).to_pylist()
    assert (fresh["state"], fresh["reason"], fresh["version"]) == ("ready", "", "")


def test_training_the_same_again_changes_nothing() -> None:
    current = with_version(table(row(1), row(2, None)), "v1")
    assert merge(current, table(row(1), row(2, None))).equals(current)


def test_another_detector_gets_its_own_column_and_an_unused_column_is_dropped() -> None:
    current = with_version(table(row(1), row(2)), "v1")
    other = row(1, 2000, detector="range", params_range={"mean": 1.0, "weights": []})
    del other["params_ocsvm"]
    mixed = merge(current, table(other))
    assert detectors_in(mixed) == ["ocsvm", "range"]
    assert mixed[params_column("ocsvm")].to_pylist()[0] is None
    assert detectors_in(merge(mixed, table(other | {"sensor_id": 2}))) == ["range"]


def test_only_an_empty_version_is_filled_in() -> None:
    merged = merge(with_version(table(row(1)), "v1"), table(row(2)))
    assert with_version(merged, "v2")["version"].to_pylist() == ["v1", "v2"]


@pytest.mark.parametrize("position", [0, 100, -10])
def test_a_changed_byte_is_found_out(position: int) -> None:
    content = bytearray(models_to_bytes(table(row(1))))
    expected = checksum(bytes(content))
    content[position] ^= 1
    with pytest.raises(CorruptModelError, match="SHA-256"):
        models_from_bytes(bytes(content), expected)


def test_a_cut_file_is_found_out_whatever_its_checksum() -> None:
    for content in (b"", b"ARROW1", models_to_bytes(table(row(1)))[:-20]):
        with pytest.raises(CorruptModelError, match="Arrow IPC file"):
            models_from_bytes(content, checksum(content))


def test_another_tables_columns_are_refused() -> None:
    content = models_to_bytes(pa.table({"sensor_id": pa.array([1])}))
    with pytest.raises(CorruptModelError, match="columns missing or of another type: sensor_id, detector"):
        models_from_bytes(content, checksum(content))


def test_a_sensor_that_is_there_twice_is_refused() -> None:
    content = models_to_bytes(table(row(1), row(1)))
    with pytest.raises(CorruptModelError, match="one for each sensor"):
        models_from_bytes(content, checksum(content))
