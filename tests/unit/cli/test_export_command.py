"""``sensorwatch export``: a sensor's windows with all that is known of its anomalies, over a real store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from sensorwatch.alerts.records import AlertChanges, AlertState, Anomaly
from sensorwatch.cli.app import app
from sensorwatch.detectors.explanation import Explanation, MemberScore
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import SqlStore, open_store

T0 = 1_795_000_000
START = datetime.fromtimestamp(T0, UTC)
HUB = Partition("readings", "$Default", "0")
WHY = Explanation("ewma", (MemberScore("ewma", 90, 1.0),))
COLUMNS = [
    *("TS", "Device", "Tag", "Value", "Readings", "Score", "Severity", "ExpectedLow", "ExpectedHigh"),
    *("ExpectedValue", "ModelVersion", "TrainingStart", "TrainingEnd", "SuppressedBy", "Explanation"),
]
FOUND = Anomaly(0, T0 + 10, 15.0, 90.0, "high", 0.0, 10.0, "v1", T0 - 3600, T0, "", 5.0, WHY)
WARMING = Anomaly(0, T0 + 15, 16.0, 95.0, "high", None, None, "v2", suppressed="warming")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=1000)
    opened.sensor_ids([SensorKey("press-1", "heat"), SensorKey("press-1", "force")])
    windows = [Window(i, T0 + 5 * n, 2, 10.0 * n, 4.0 * n, 6.0 * n, 52.0 * n * n) for n in range(1, 5) for i in (0, 1)]
    opened.commit_ingest(HUB, None, OffsetCheckpoint(16, START), windows, IngestCounts(16, 16, 0, 0, 0))
    yield opened
    opened.dispose()


@pytest.fixture
def export(store: SqlStore, tmp_path: Path) -> Callable[..., str]:
    settings = tmp_path / "local.settings.json"
    settings.write_text(json.dumps({"Values": {"DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}}), encoding="utf-8")

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, ["--settings", str(settings), "export", *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def find(store: SqlStore, *anomalies: Anomaly) -> None:
    def decide(states: Mapping[int, AlertState]) -> AlertChanges:
        return AlertChanges([], [], [])

    store.publish(anomalies, [], [], decide)


def test_a_csv_file_has_what_is_known_of_every_anomaly(
    store: SqlStore, export: Callable[..., str], tmp_path: Path
) -> None:
    find(store, FOUND, WARMING, Anomaly(1, T0 + 5, 1.0, 60.0, "low", None, None, "v3"))
    file = tmp_path / "heat.csv"
    assert export("press-1", "heat", str(file)) == f"wrote 4 windows to {file}\n"
    header, *rows = file.read_text(encoding="utf-8").splitlines()
    assert header.split(",") == COLUMNS
    at = [pd.Timestamp(T0 + 5 * n, unit="s").isoformat() + "Z" for n in range(5)]
    before = pd.Timestamp(T0 - 3600, unit="s").isoformat() + "Z"
    why = '"15 where 5 (0 to 10) was expected; the value is far from its recent average."'
    assert rows == [
        f"{at[1]},press-1,heat,5.0,2,,,,,,,,,,",
        f"{at[2]},press-1,heat,10.0,2,90.0,high,0.0,10.0,5.0,v1,{before},{at[0]},,{why.strip(chr(34))}",
        f"{at[3]},press-1,heat,15.0,2,95.0,high,,,,v2,,,warming,",
        f"{at[4]},press-1,heat,20.0,2,,,,,,,,,,",
    ]


def test_the_types_of_a_parquet_file_are_the_same_whatever_was_found(
    store: SqlStore, export: Callable[..., str], tmp_path: Path
) -> None:
    export("press-1", "heat", str(tmp_path / "none.parquet"))
    find(store, FOUND, WARMING)
    export("press-1", "heat", str(tmp_path / "some.parquet"))
    none, some = (pyarrow.parquet.read_table(tmp_path / f"{name}.parquet") for name in ("none", "some"))
    assert none.column_names == COLUMNS
    assert none.schema.types == some.schema.types
    assert all(none[name].null_count == 4 for name in COLUMNS[5:])
    assert some["SuppressedBy"].to_pylist() == [None, None, "warming", None]
    assert some["ExpectedValue"].to_pylist() == [None, 5.0, None, None]
    assert some["TrainingEnd"].to_pylist() == [None, START, None, None]


def test_a_range_is_after_one_time_until_another(store: SqlStore, export: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    after, until = (f"{datetime.fromtimestamp(T0 + 5 * n, UTC):%Y-%m-%dT%H:%M:%S}" for n in (1, 3))
    assert "wrote 2 windows" in export("press-1", "heat", str(file), "--after", after, "--until", until)
    assert pd.read_csv(file)["Value"].tolist() == [10.0, 15.0]


def test_an_unknown_sensor_or_kind_of_file_is_refused(store: SqlStore, export: Callable[..., str]) -> None:
    with pytest.raises(NotFoundError, match="no sensor with device press-9"):
        export("press-9", "heat", "a.csv")
    with pytest.raises(InvalidInputError, match=r"ends in \.csv or \.parquet"):
        export("press-1", "heat", "a.xlsx")
