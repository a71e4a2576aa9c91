"""The commands for alerts, over a real store, and feedback on the way from a prediction file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from sensorwatch.alerts.policy import AlertDefaults, AlertPolicy
from sensorwatch.alerts.publish import publish
from sensorwatch.alerts.records import PublishOutcome
from sensorwatch.alerts.state_machine import AlertRules
from sensorwatch.cli.app import app
from sensorwatch.detectors.explanation import Explanation, MemberScore, explanation_json
from sensorwatch.errors import ConflictError, InvalidInputError, NotFoundError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import SqlStore, open_store
from sensorwatch.tasks.prediction_schema import ANOMALOUS, NORMAL, prediction_schema

WHY = Explanation("ewma", (MemberScore("ewma", 90, 1.0),))
POLICY = AlertPolicy(AlertDefaults(AlertRules(anomalous_windows=2, recent_windows=3, quiet_seconds=60)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path}/store.db", shard_size=1000)
    opened.sensor_ids([SensorKey("press-1", tag) for tag in ("heat", "force", "speed")])
    yield opened
    opened.dispose()


@pytest.fixture
def command(store: SqlStore, tmp_path: Path) -> Callable[..., Any]:
    settings = tmp_path / "local.settings.json"
    values = {"DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}
    settings.write_text(json.dumps({"Values": values}), encoding="utf-8")

    def run(*words: str, plain: bool = False) -> Any:
        result = CliRunner().invoke(app, ["--settings", str(settings), *words, *([] if plain else ["--json"])])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output if plain else json.loads(result.output)

    return run


def predict(
    store: SqlStore, sensors: Sequence[int], numbers: Sequence[int], value: float, name: str = "a"
) -> PublishOutcome:
    """Publish a file of windows: anomalous where the value is above 10."""
    rows = [
        {
            "sensor_id": sensor_id,
            "device": "press-1",
            "tag": ("heat", "force", "speed", "other")[sensor_id],
            "ts": 5 * number,
            "value": value,
            "prediction": ANOMALOUS if value > 10 else NORMAL,
            "score": 90.0 if value > 10 else 5.0,
            "severity": "high" if value > 10 else "normal",
            "expected_low": 0.0,
            "expected_high": 10.0,
            "model_version": "v1",
            "rescored": False,
            "training_start": 0,
            "training_end": 3600,
            "explanation": explanation_json(WHY) if value > 10 else None,
        }
        for sensor_id in sensors
        for number in numbers
    ]
    return publish(name, pa.Table.from_pylist(rows, prediction_schema()), store=store, policy=POLICY)


def test_an_alert_is_shown_with_what_was_expected_its_model_and_its_history(
    store: SqlStore, command: Callable[..., Any]
) -> None:
    predict(store, [0], [1, 2], 15.0)
    command("alerts", "ack", "0-10", "--by", "anna", "--note", "on my way")
    shown = command("alerts", "show", "0-10")
    expected = {
        "device": "press-1",
        "tag": "heat",
        "kind": "anomaly",
        "state": "acknowledged",
        "acknowledged_by": "anna",
        "peak_value": 15.0,
        "expected_low": 0.0,
        "expected_high": 10.0,
        "explanation": "15 where 0 to 10 was expected; the value is far from its recent average.",
        "model_version": "v1",
        "training_start": "1970-01-01T00:00:00Z",
        "training_end": "1970-01-01T01:00:00Z",
    }
    assert {key: shown[key] for key in expected} == expected
    assert [(entry["actor"], entry["action"], entry["detail"]) for entry in shown["history"]] == [
        ("sensorwatch", "open", "score 90.0, high"),
        ("anna", "acknowledge", "on my way"),
    ]
    assert "on my way" in command("alerts", "show", "0-10", plain=True)
    assert expected["explanation"] in command("alerts", "show", "0-10", plain=True)
    assert expected["explanation"] in command("anomalies", "--why", plain=True)
    assert expected["explanation"] not in command("anomalies", plain=True)
    assert {each["explanation"] for each in command("anomalies")} == {expected["explanation"]}


def test_the_list_can_be_narrowed(store: SqlStore, command: Callable[..., Any]) -> None:
    predict(store, [0, 1], [1, 2], 15.0)
    command("alerts", "ack", "0-10", "--by", "anna")
    command("alerts", "resolve", "1-10", "--by", "anna")

    def listed(*words: str) -> list[str]:
        return [row["alert_id"] for row in command("alerts", *words)]

    assert listed() == ["0-10", "1-10"]
    assert listed("--open") == listed("--state", "acknowledged") == listed("--sensor-id", "0") == ["0-10"]
    assert listed("--state", "resolved") == ["1-10"]
    assert listed("--kind", "flatline") == listed("--severity", "low") == listed("--feedback", "expected") == []
    assert listed("--limit", "1") == ["0-10"]
    assert "No open alerts." not in command("alerts", "--open", plain=True)


def test_every_action_has_a_command(store: SqlStore, command: Callable[..., Any]) -> None:
    predict(store, [0], [1, 2], 15.0)
    assert command("alerts", "ack", "0-10")["state"] == "acknowledged"
    assert command("alerts", "ack", "0-10", "--undo")["state"] == "open"
    silenced = command("alerts", "silence", "0-10", "--hours", "8", "--why", "night", "--by", "anna")
    assert (silenced["state"], silenced["silenced_why"]) == ("silenced", "night")
    assert command("alerts", "unsilence", "0-10")["state"] == "open"
    assert command("alerts", "comment", "0-10", "hm")["history"][-1]["detail"] == "hm"
    assert command("alerts", "feedback", "0-10", "confirmed")["feedback"] == "confirmed"
    assert command("alerts", "resolve", "0-10", "--by", "anna")["resolved_by"] == "anna"
    with pytest.raises(ConflictError, match="resolved"):
        command("alerts", "ack", "0-10")
    with pytest.raises(NotFoundError, match="no alert `7-7`"):
        command("alerts", "show", "7-7")


def test_sensors_are_silenced_ahead_by_pattern(store: SqlStore, command: Callable[..., Any]) -> None:
    words = (
        "silence",
        "--device",
        "press-*",
        "--tag",
        "h*",
        "--until",
        "2999-01-01",
        "--why",
        "a test",
        "--by",
        "anna",
    )
    (made,) = command("alerts", *words)
    predict(store, [0, 1], [1, 2], 15.0)
    assert [row["alert_id"] for row in command("alerts", "--state", "silenced")] == ["0-10"]
    assert [row["silence_id"] for row in command("alerts", "silences")] == [made["silence_id"]]
    assert command("alerts", "unsilence", made["silence_id"], "--by", "bert") == []
    assert [row["ended_by"] for row in command("alerts", "silences", "--all")] == ["bert"]
    assert command("alerts", "--state", "silenced") == []


@pytest.mark.parametrize(
    "words",
    [
        ("0-10",),
        ("0-10", "--hours", "1", "--until", "2999-01-01"),
        ("--hours", "1"),
        ("0-10", "--device", "*", "--hours", "1"),
        ("--device", "*", "--until", "2000-01-01"),
    ],
)
def test_a_silence_that_is_not_clear_is_refused(words: tuple[str, ...], command: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInputError, match="silence: expected"):
        command("alerts", "silence", *words)


def test_incidents_are_listed_with_their_highest_alerts(store: SqlStore, command: Callable[..., Any]) -> None:
    predict(store, [0, 1, 2], [1, 2], 15.0)
    (incident,) = command("incidents", "--open")
    assert (incident["group"], incident["alerts"], incident["closed"]) == ("press-1", 3, None)
    assert [top["tag"] for top in incident["top"]] == ["heat", "force", "speed"]
    assert len(command("alerts", "--incident", incident["incident_id"])) == 3
    assert "press-1" in command("incidents", plain=True)


def test_a_false_alarm_stops_repeating_from_the_next_file_and_stays_queryable(
    store: SqlStore, command: Callable[..., Any]
) -> None:
    predict(store, [0], [1, 2], 15.0)
    command("alerts", "feedback", "0-10", "false-alarm", "--by", "anna")
    command("alerts", "resolve", "0-10", "--by", "anna")
    assert predict(store, [0], [3, 4, 5], 15.2, "b").alerts_opened == 0
    reasons = [row["suppressed"] for row in command("anomalies", "--suppressed")]
    assert reasons == ["feedback false-alarm on 0-10"] * 3
    before = store.anomalies(), store.anomalies(suppressed=True)
    predict(store, [0], [1, 2], 15.0)
    predict(store, [0], [3, 4, 5], 15.2, "b")
    assert (store.anomalies(), store.anomalies(suppressed=True)) == before
    assert predict(store, [0], [6, 7], 25.0, "c").alerts_opened == 1


def test_labels_are_exported_as_csv_and_ndjson(store: SqlStore, command: Callable[..., Any], tmp_path: Path) -> None:
    predict(store, [0, 1], [1, 2], 15.0)
    command("alerts", "feedback", "1-10", "confirmed", "--by", "anna")
    assert "wrote 1 labels" in command("labels", "export", str(tmp_path / "a.csv"), plain=True)
    command("labels", "export", str(tmp_path / "a.ndjson"), plain=True)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    (line,) = (tmp_path / "a.ndjson").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == json.loads(command("labels", "export", plain=True))
    assert (row["tag"], row["label"], row["opened"], row["peak_value"], row["labelled_by"]) == (
        *("force", "confirmed", "1970-01-01T00:00:10Z", "15.0", "anna"),
    )
    assert row["explanation"] == "15 where 0 to 10 was expected; the value is far from its recent average."
    assert json.loads(line)["explanation"] == row["explanation"]
    with pytest.raises(InvalidInputError, match=r"\.csv or \.ndjson"):
        command("labels", "export", "labels.xlsx", plain=True)


@pytest.mark.parametrize("name", ["x[3]", "a*b", "what?", "[!x]", "]x[", "x[3"])
def test_an_exact_name_silences_its_sensor(name: str, store: SqlStore, command: Callable[..., Any]) -> None:
    sensor = store.sensor_ids([SensorKey("arr", name)])[SensorKey("arr", name)]
    (made,) = command("alerts", "silence", "--device", "arr", "--tag", name, "--hours", "1")
    assert (made["tag"], made["sensors"]) == (name, 1)
    predict(store, [sensor], [1, 2], 15.0)
    assert [row["tag"] for row in command("alerts", "--state", "silenced")] == [name]


def test_a_silence_that_matches_no_sensor_says_so(command: Callable[..., Any]) -> None:
    shown = command("alerts", "silence", "--device", "nobody", "--hours", "1", plain=True)
    assert "matches no sensor: device `nobody`, tag `*`" in shown
    assert [row["sensors"] for row in command("alerts", "silences")] == [0]
    assert command("rules", "check")["unmatched"][0].endswith("device `nobody`, tag `*`")
