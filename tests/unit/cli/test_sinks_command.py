"""``sensorwatch sinks``: what it shows, and the message it sends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from local_stack import pick_port
from sink_receivers import WebhookServer
from typer.testing import CliRunner, Result

from sensorwatch.alerts.records import Alert, AlertChanges, Notification
from sensorwatch.cli.app import app
from sensorwatch.errors import NotFoundError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.store import open_store

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", url)
    return url


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sinks", *arguments])


def test_the_list_says_which_sink_fails_since_when_and_what_waits(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOKS", "ops=https://ops.example/hunter2 new=https://new.example/")
    store = open_store(database, shard_size=1000)
    store.sensor_ids([SensorKey("press-1", "flow")])
    alert = Alert("0-5", 0, 5, 5, None, 3, 90.0, "high")
    told = Notification("0-5:opened", "opened", alert)
    store.publish([], [], [], lambda _: AlertChanges([], [alert], [told]))
    store.hand_out(["ops", "gone"], NOW)
    for minute in range(3):
        (claimed,) = store.claim("ops", NOW + timedelta(minutes=minute), limit=1, lease_seconds=60)
        store.postpone("ops", claimed, "answered 500", NOW + timedelta(minutes=minute), lambda _: timedelta(0))
    store.dispose()

    result = run("list", "--json")
    assert result.exit_code == 0
    rows = {row["sink"]: row for row in json.loads(result.output)}
    assert list(rows) == ["log", "ops", "new", "gone"]
    assert (rows["log"]["state"], rows["new"]["state"]) == ("unused", "unused")
    assert rows["ops"] == {
        "sink": "ops",
        "on": True,
        "state": "failing",
        "failing_since": "2026-11-20T10:15:00Z",
        "last_delivery": None,
        "waiting": 1,
        "last_error": "answered 500",
    }
    assert (rows["gone"]["on"], rows["gone"]["waiting"]) == (False, 1)
    table = run("list").output
    assert "answered 500" in table
    assert "hunter2" not in table + result.output


def test_a_test_message_says_that_it_is_one(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with WebhookServer() as server:
        monkeypatch.setenv("WEBHOOKS", f"ops={server.url}")
        result = run("test", "ops")
    assert (result.exit_code, result.output) == (0, "ops: delivered\n")
    assert server.posts[0].json["type"] == "sensorwatch.alert.test"


def test_a_sink_that_does_not_work_is_reported_and_the_others_are_still_tried(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebhookServer() as server:
        monkeypatch.setenv("WEBHOOKS", f"away=http://127.0.0.1:{pick_port()}/ ops={server.url}")
        result = run("test")
    assert result.exit_code == 1
    log, away, ops = result.output.splitlines()
    assert (log, ops) == ("log: delivered", "ops: delivered")
    assert away.startswith("away: 127.0.0.1 can't be reached")


def test_an_unknown_sink_is_refused_with_those_there_are(database: str) -> None:
    result = run("test", "pager")
    assert isinstance(result.exception, NotFoundError)
    assert str(result.exception) == "no sink named pager is on; sinks that are on: log"
