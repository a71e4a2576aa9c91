"""Predictive maintenance over a real blob service and database: from files to risks, by the commands and the tasks."""

from __future__ import annotations

import csv
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from machine_files import small_files
from typer.testing import CliRunner

from batch_tasks.maintenance import main as run_batch_task
from sensorwatch.alerts.handling import AlertAction
from sensorwatch.alerts.records import Alert, AlertChanges
from sensorwatch.app import Product, get_product
from sensorwatch.cli.app import app
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings import load_settings

pytestmark = [pytest.mark.wire, pytest.mark.timeout(600)]


@pytest.fixture
def environment(azurite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    suffix = uuid.uuid4().hex[:8]
    values = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'sensorwatch.db'}",
        "AzureWebJobsStorage": azurite,
        "MODELS_CONTAINER": f"models-{suffix}",
        "PREDICTIONS_CONTAINER": f"predictions-{suffix}",
        "DEAD_LETTERS_CONTAINER": f"dead-letters-{suffix}",
        "TASK_LOGS_CONTAINER": f"task-logs-{suffix}",
        "MACHINES_CONTAINER": f"machines-{suffix}",
        "MACHINES_PER_SHARD": "5",
        "MAINTENANCE_MODEL": "tree",
        "MAINTENANCE_VALIDATION_DAYS": "30",
        "MAINTENANCE_TEST_DAYS": "30",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    get_product.cache_clear()
    return values


def typed(*words: str) -> str:
    result = CliRunner().invoke(app, ["maintenance", *words])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def test_files_become_risks_and_everything_may_be_done_twice(environment: dict[str, str], tmp_path: Path) -> None:
    folder = small_files(tmp_path / "data")
    first = {each["data_set"]: each for each in json.loads(typed("ingest", str(folder), "--json"))}
    assert first["telemetry"]["reasons"] == {
        "row: wrong number of columns": 1,
        "machineID: unknown machine": 1,
        "volt: expected a finite number": 1,
    }
    assert first["failures"]["reasons"] == {"failure: expected comp1 to comp4": 1}
    again = {each["data_set"]: each for each in json.loads(typed("ingest", str(folder), "--json"))}
    assert all(each["files"] == 0 for each in again.values())
    assert {name: each["rows"] for name, each in again.items()} == {name: each["rows"] for name, each in first.items()}

    trained = json.loads(typed("train", "--json"))
    assert json.loads(typed("train", "--json"))["version"] == trained["version"]
    window = ["--start", "2015-03-20T00:00:00+00:00", "--end", "2015-05-01T00:00:00+00:00"]
    for shard in ("0", "1", "2"):
        assert run_batch_task(["score", "--run", "r", "--shard", shard, *window]) == 0
    store = Product.from_environment(environment).store
    newest = store.newest_risks()
    assert {risk.machine_id for risk in newest} == set(range(1, 13))
    assert {risk.model_version for risk in newest} == {trained["version"]}
    warned = [risk for machine in range(1, 13) for risk in store.risks(machine) if risk.warns]
    assert warned
    assert any(risk.reasons for risk in warned)
    before = [store.risks(machine) for machine in range(1, 13)], store.alerts()
    assert run_batch_task(["score", "--run", "r", "--shard", "0", *window]) == 0
    assert ([store.risks(machine) for machine in range(1, 13)], store.alerts()) == before

    rows = json.loads(typed("machines", "--json"))
    assert [row["risk"] for row in rows] == sorted((row["risk"] for row in rows), reverse=True)
    assert "comp" in typed("machines", "3")
    card = (tmp_path / typed("card", "card.html").strip()).read_text(encoding="utf-8")
    assert trained["version"] in card
    assert "1 further readings in an hour" in card
    assert "1 duplicate events" in card
    assert "hours without a reading" in card
    assert "240 samples without readings" in typed(
        "features", "all.parquet", "--from", "2015-01-01", "--to", "2015-05-01"
    )
    assert "silent" not in typed("features", "f.parquet", "--from", "2015-02-01", "--to", "2015-03-01")


def alert_of(
    environment: dict[str, str], alert_id: str, sensor: SensorKey, moment: datetime, *, confirmed: bool
) -> None:
    """Store an alert whose newest window ends at a moment; a person may confirm it then."""
    store = Product(load_settings(environment), lambda: moment).store
    end = int(moment.timestamp())
    alert = Alert(alert_id, store.sensor_ids([sensor])[sensor], end - 600, end, None, 3, 90.0, "high")
    store.settle_alerts({alert_id}, lambda _: AlertChanges((), [alert], ()))
    if confirmed:
        store.act(alert_id, AlertAction("feedback", "Ada", verdict="confirmed"))
    store.dispose()


def test_confirmed_alerts_train_in_place_of_failures_that_nobody_wrote_down(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = small_files(tmp_path / "data")
    lines = (folder / "failures.csv").read_text(encoding="utf-8").splitlines()
    (folder / "failures.csv").write_text(lines[0] + "\n", encoding="utf-8")
    (tmp_path / "sensorwatch.yaml").write_text(
        "machines: {components: ["
        + ", ".join(f"{{tag: motor {number}, component: comp{number}}}" for number in range(1, 5))
        + "]}",
        encoding="utf-8",
    )
    typed("ingest", str(folder))
    refused = CliRunner().invoke(app, ["maintenance", "train"])
    assert "samples before a failure" in str(refused.exception)

    failures = [row for row in csv.reader(lines[1:]) if row[2] != "comp7"]
    for number, (at, machine, component) in enumerate(failures):
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
        alert_of(environment, f"alert-{number}", SensorKey(machine, f"motor {component[-1]}"), moment, confirmed=True)
    alert_of(environment, "late", SensorKey("3", "noise"), moment, confirmed=False)
    assert CliRunner().invoke(app, ["alerts", "feedback", "late", "confirmed", "--by", "Ada"]).exit_code == 0

    said = {row["alert"]: row["training"] for row in json.loads(typed("labels", "--json"))}
    assert len(said) == len(failures) + 1
    assert said.pop("late") == "not used: confirmed after the newest sample; give a later --to to include it"
    assert set(said.values()) <= {"added as a failure", "duplicate of another alert"}
    assert "machines.components in sensorwatch.yaml has no rule" in typed("labels", "--to", "2100-01-01")
    trained = json.loads(typed("train", "--json"))
    assert trained["confirmed_alerts"]["joined"] == list(said.values()).count("added as a failure") > 20
    assert trained["metrics"]["failures"] > 0
    assert json.loads(typed("train", "--json"))["version"] == trained["version"]
    typed("card", "card.html")
    assert f"{trained['confirmed_alerts']['joined']} added as failures" in (tmp_path / "card.html").read_text("utf-8")


def test_commands_without_data_name_the_next_step(environment: dict[str, str], tmp_path: Path) -> None:
    Product.from_environment(environment).prepare(pool=False)
    for words in (["train"], ["score"], ["card"], ["machines", "1"], ["ingest", str(tmp_path / "nothing")]):
        result = CliRunner().invoke(app, ["maintenance", *words])
        assert result.exit_code == 1
        assert "`sensorwatch maintenance" in str(result.exception) or "folder not found" in str(result.exception)
