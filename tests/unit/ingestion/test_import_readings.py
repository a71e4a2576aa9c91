"""Moving in from the Batch AI samples: their configuration files, tables and files of readings."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.ingestion import FakeDeadLetters
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sensorwatch.cli.app import app
from sensorwatch.config.original_system import parse_configuration_files
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, ticks_of
from sensorwatch.ingestion.import_readings import import_readings
from sensorwatch.ingestion.ingest import IngestRules
from sensorwatch.ingestion.records import IngestCounts, Partition, Reading
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import open_store
from sensorwatch.store.original_table import read_original_table
from sensorwatch.store.sql_store import SqlStore

START = ticks_of(datetime(2018, 8, 29, tzinfo=UTC))
TRAIN = {
    "sql_con_string": "DRIVER={ODBC Driver 13 for SQL Server};SERVER=plant.database.windows.net;PORT=1443;"
    "DATABASE=sensors;UID=me;PWD=hidden-word",
    "sql_query": "SELECT [Value] FROM [SensorValues] WHERE [Device]={0}",
    "blob_account": "plantstorage",
    "blob_key": "hidden-key",
    "blob_container": "models",
}
SCHEDULER = {"device_ids": [1, 2, 3], "tags": [1, 2], "node_count": 2, "cluster_name": "plant", "KEY": "hidden-secret"}


def files(*contents: object) -> list[tuple[str, bytes]]:
    return [(f"file{i}.json", json.dumps(content).encode()) for i, content in enumerate(contents)]


def readings(values: list[float], *, sensors: int = 2) -> list[Reading]:
    """Return one reading every five seconds for each sensor, all of an instant together."""
    return [
        Reading(str(sensor), "t", START + 5 * TICKS_PER_SECOND * i, value + sensor)
        for i, value in enumerate(values)
        for sensor in range(sensors)
    ]


def take_in(store: SqlStore, rows: list[Reading]) -> tuple[int, int]:
    outcome = import_readings("table x", rows, store=store, dead_letters=FakeDeadLetters(), rules=IngestRules())
    return outcome.already_there, outcome.counts.accepted


# ---- configuration files ---------------------------------------------------------------------------------------------


def test_files_give_sensors_and_settings_and_none_of_their_secrets() -> None:
    found = parse_configuration_files(files(TRAIN, SCHEDULER))
    assert found.sensors == tuple(SensorKey(str(d), str(t)) for d in (1, 2, 3) for t in (1, 2))
    assert found.settings["AzureWebJobsStorage__accountName"] == "plantstorage"
    assert found.settings["MODELS_CONTAINER"] == "models"
    assert found.settings["DATABASE_URL"].startswith("mssql+pyodbc://@plant.database.windows.net/sensors?")
    assert found.settings["MAX_NODES"] == "2"
    assert {"sql_con_string", "blob_key", "KEY", "sql_query", "cluster_name"} == found.left_out.keys()
    assert "hidden" not in repr(found)


def test_a_data_file_is_named_as_scoring_takes_it() -> None:
    found = parse_configuration_files(
        files({"data_blob_container": "data", "data_blob": "sensor_data.csv", "blob_account": "a"})
    )
    assert found.data == "data/sensor_data.csv"


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([{"other": 1}], "expected a configuration file of the Batch AI samples"),
        ([[1]], "expected a configuration file"),
        ([{"device_ids": 3}], "device_ids: expected a list"),
        ([{"blob_account": "a"}, {"blob_account": "b"}], "expected `a` as in file0.json, got `b`"),
    ],
)
def test_unusable_configuration_files_are_refused_with_what_was_expected(contents: list[object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_configuration_files(files(*contents))


def test_a_file_that_is_no_json_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"train\.json: expected a JSON object"):
        parse_configuration_files([("train.json", b"{")])


# ---- readings --------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    st.lists(st.integers(0, 80), max_size=4),
)
def test_an_import_that_is_begun_again_and_again_takes_each_reading_once(values: list[float], cuts: list[int]) -> None:
    rows = readings(values)
    store = open_store("sqlite:///:memory:", shard_size=10)
    for cut in sorted(cuts):
        # What an export had so far: whole instants.
        take_in(store, rows[: cut // 2 * 2])
    take_in(store, rows)
    assert take_in(store, rows) == (len(rows), 0)
    (status,) = store.ingest_status()
    assert status.partition == Partition("import", "import", "table x")
    assert status.counts == IngestCounts(len(rows), len(rows), 0, 0, 0)
    assert store.window_count() == len(rows)
    store.dispose()


def test_history_is_not_late_beside_what_arrives_now() -> None:
    store = open_store("sqlite:///:memory:", shard_size=10)
    now = readings([1.0])[0]._replace(ticks=START + 86_400 * 365 * TICKS_PER_SECOND)
    import_readings("live", [now], store=store, dead_letters=FakeDeadLetters(), rules=IngestRules())
    assert take_in(store, readings([1.0, 2.0, 3.0], sensors=1)) == (0, 3)
    store.dispose()


def original_table(path: Path, rows: list[tuple[object, ...]], columns: str = "TS, Device, Tag, Value") -> str:
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE SensorValues ({columns})")
        connection.executemany("INSERT INTO SensorValues VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return f"sqlite:///{path}"


def test_the_original_table_is_read_in_order_and_bad_rows_are_counted(tmp_path: Path) -> None:
    url = original_table(
        tmp_path / "old.db",
        [
            ("2018-08-29 00:00:10", 1, 2, 3.5),
            ("2018-08-29 00:00:05", 1, 2, 2.5),
            ("no time", 1, 2, 1.0),
            ("2018-08-29 00:00:15", None, 2, 1.0),
            ("2018-08-29 00:00:20", 1, 2, None),
        ],
    )
    found, unusable = read_original_table(url)
    assert [reading.value for reading in found] == [2.5, 3.5]
    assert found[0] == Reading("1", "2", START + 5 * TICKS_PER_SECOND, 2.5)
    assert unusable == 3


def test_a_missing_table_or_column_is_named(tmp_path: Path) -> None:
    url = original_table(tmp_path / "old.db", [], "TS, Device, Tag, Reading")
    with pytest.raises(InvalidInputError, match="missing: Value"):
        read_original_table(url)
    with pytest.raises(InvalidInputError, match="no table Other"):
        read_original_table(url, "Other")


# ---- command ---------------------------------------------------------------------------------------------------------


def test_the_command_brings_sensors_and_history_and_says_what_it_left_out(tmp_path: Path) -> None:
    for name, content in (("train_config.json", TRAIN), ("bai_train_config.json", SCHEDULER)):
        (tmp_path / name).write_text(json.dumps(content))
    at = datetime(2018, 8, 29, tzinfo=UTC)
    lines = [f"{at + timedelta(seconds=5 * i):%Y-%m-%dT%H:%M:%S},1,2,{i}.5" for i in range(1, 13)]
    (tmp_path / "data.csv").write_text("TS,Device,Tag,Value\n" + "\n".join(lines))
    url = original_table(tmp_path / "old.db", [("2018-08-29 00:00:05", 3, 1, 2.5)])
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/new.db",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "OLD": url,
    }
    arguments = ["import", str(tmp_path / "train_config.json"), str(tmp_path / "bai_train_config.json")]
    arguments += ["--data", str(tmp_path / "data.csv"), "--database", "OLD"]

    first = CliRunner().invoke(app, arguments, env=environment)
    assert first.exit_code == 0, first.output
    assert "6 sensors are in the catalogue." in first.output
    assert "file data.csv: 12 readings imported, 0 were imported before" in first.output
    assert "table SensorValues: 1 readings imported" in first.output
    assert "Left out: blob_key (a secret, which is not taken" in first.output
    assert "hidden" not in first.output

    again = json.loads(CliRunner().invoke(app, [*arguments, "--json"], env=environment).output)
    assert [(each["accepted"], each["already_there"]) for each in again["imported"]] == [(0, 12), (0, 1)]
    store = open_store(environment["DATABASE_URL"], shard_size=1000)
    assert (len(store.sensors()), store.window_count()) == (6, 13)
    store.dispose()


@pytest.mark.parametrize("most", [1, 2, 5, 7])
def test_readings_of_an_instant_stay_in_one_event(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    store = open_store("sqlite:///:memory:", shard_size=10)
    monkeypatch.setattr("sensorwatch.ingestion.import_readings._READINGS_PER_EVENT", most)
    rows = readings([1.0, 2.0, 3.0, 4.0], sensors=2)
    assert take_in(store, rows) == (0, 8)
    assert take_in(store, rows) == (8, 0)
