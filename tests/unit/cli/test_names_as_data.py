"""Names of devices and tags are data: no table, message or spreadsheet reads anything into them."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from local.demo_telemetry import path_table
from sensorwatch.cli.app import app
from sensorwatch.cli.context import print_table
from sensorwatch.cli.export import write_csv
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.models.scoring.file_windows import parse_data
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings.text_files import escape_cell, unescape_cell
from sensorwatch.simulation.recorded import read_recording
from sensorwatch.store import open_store
from sensorwatch.telemetry.recorded import RecordedSpan, Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARKUP = [
    *("[/]", "[link=https://example.com]here[/link]", "[red]x[/red]", ":warning:", "[[]", "\\[bold]", "x[3]"),
    "[@click=a]b",
]
FORMULAS = ["=HYPERLINK(1)", "+1", "-5", "@SUM(A1)", "'=1", "''", "'quoted'"]


@pytest.mark.parametrize("name", MARKUP)
def test_a_table_shows_names_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(name, [{"device": name, name: 1}], empty="")
    title, *_ = printed = capsys.readouterr().out.splitlines()
    assert title.rstrip() == name
    assert all(name in "\n".join(part) for part in (printed[1:3], printed[3:]))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    store = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=1000)
    ids = store.sensor_ids([SensorKey(name, "[/]") for name in MARKUP + FORMULAS])
    windows = [Window(i, 1_795_000_005, 2, 10.0, 4.0, 6.0, 52.0) for i in ids.values()]
    checkpoint = OffsetCheckpoint(16, datetime(2026, 11, 18, tzinfo=UTC))
    store.commit_ingest(
        Partition("readings", "$Default", "0"), None, checkpoint, windows, IngestCounts(16, 16, 0, 0, 0)
    )
    store.dispose()
    settings = tmp_path / "local.settings.json"
    settings.write_text(json.dumps({"Values": {"DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}}), encoding="utf-8")

    def invoke(*words: str) -> str:
        result = CliRunner().invoke(app, ["--settings", str(settings), *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return invoke


def test_the_sensors_command_lists_sensors_of_any_name(run: Callable[..., str]) -> None:
    shown = run("sensors")
    assert [name for name in MARKUP + FORMULAS if name not in shown] == []


def test_a_message_names_an_option_as_it_is() -> None:
    result = CliRunner().invoke(app, ["alerts", "silence", "--until", "[/red][link=a]"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "[/red][link=a]" in result.output


def test_the_demo_shows_names_as_they_are() -> None:
    out = io.StringIO()
    for name in MARKUP:
        about: dict[str, Any] = {"sensorwatch.device": name}
        span = RecordedSpan(
            *("step", "sensorwatch-host", "t" * 32, "s", None, "2026-11-20T10:00:00.000000", 0.1, None), about, ()
        )
        Console(file=out, width=300).print(path_table([Step(0, span, "sent")]))
    assert [name for name in MARKUP if name not in out.getvalue()] == []


@pytest.mark.parametrize("name", FORMULAS)
def test_an_export_holds_no_formulas_and_is_read_back(name: str, run: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    run("export", "--", name, "[/]", str(file))
    (row,) = csv.DictReader(file.open(encoding="utf-8", newline=""))
    assert row["Device"][0] not in "=+-@\t\r"
    assert row["Value"] == "5.0"
    (reading,) = read_recording(file).readings
    assert (reading.device, reading.tag) == (name, "[/]")
    assert parse_data("export.csv", file.read_bytes(), [], 5).unknown_sensors == (SensorKey(name, "[/]"),)


def test_only_texts_are_escaped(tmp_path: Path) -> None:
    frame = pd.DataFrame({"Device": ["=a", None, "b"], "Value": [-1.5, 2.0, float("nan")], "Label": [-1, 0, 1]})
    write_csv(frame, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "Device,Value,Label\n'=a,-1.5,-1\n,2.0,0\nb,,1\n"
    assert frame["Device"][0] == "=a"


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    cell = escape_cell(text)
    assert unescape_cell(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
