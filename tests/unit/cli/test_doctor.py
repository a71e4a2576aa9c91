"""``sensorwatch doctor`` while services are away, and while most readings are rejected."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.ingestion import FakeDeadLetters
from typer.testing import CliRunner

from sensorwatch.app import Product
from sensorwatch.cli.app import app
from sensorwatch.cli.doctor_checks import Check, connection_checks, readings_check, rejected_share
from sensorwatch.ingestion.ingest import Ingest, IngestRules
from sensorwatch.ingestion.records import DeadLetter, OffsetCheckpoint, Partition, RawEvent
from sensorwatch.settings import load_settings

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
ONE, TWO = Partition("readings", "$Default", "0"), Partition("readings", "$Default", "1")
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def settings(port: int, database: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database,
        "AzureWebJobsStorage": f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;",
        "EventHub": f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true",
        "BATCH_ACCOUNT_URL": f"http://127.0.0.1:{port}",
        "BATCH_ACCOUNT_NAME": "local",
        "BATCH_ACCOUNT_KEY": "c2VjcmV0",
    }


def test_services_that_refuse_connections_have_a_row_each_with_the_cause(free_port: int, tmp_path: Path) -> None:
    database = f"mssql+pyodbc://sa:secret@127.0.0.1:{free_port}/sensorwatch"
    connection_checks(Product(load_settings({"DATABASE_URL": "sqlite:///:memory:"})), limit_seconds=0.1)
    begun = time.monotonic()
    ended = CliRunner().invoke(
        app, ["doctor", "--json"], env=settings(free_port, database) | {"SENSORWATCH_SETTINGS": ""}
    )
    assert time.monotonic() - begun < 10
    assert ended.exit_code == 1
    rows = {row["name"]: row for row in json.loads(ended.stdout)}
    for name in ("storage", "event hub", "batch pool"):
        assert not rows[name]["well"]
        assert f"no connection to 127.0.0.1:{free_port}: Connection refused" in rows[name]["detail"]
        assert "make up" in rows[name]["advice"]
    assert not rows["database"]["well"]
    assert "secret" not in ended.stdout
    assert "readings" not in rows


def test_services_that_never_answer_have_a_row_each_within_the_limit(silent_port: int, tmp_path: Path) -> None:
    product = Product(load_settings(settings(silent_port, f"sqlite:///{tmp_path}/store.db")))
    begun = time.monotonic()
    rows = {check.name: check for check in connection_checks(product, limit_seconds=4)}
    assert time.monotonic() - begun < 8
    assert rows["database"].well
    for name in ("storage", "event hub", "batch pool"):
        assert not rows[name].well
        assert (
            f"127.0.0.1:{silent_port} takes connections, but the service does not answer properly" in rows[name].detail
        )


def letter(number: int, reason: str = "bad-time", partition: Partition = ONE, body: bytes = b"{}") -> DeadLetter:
    return DeadLetter(partition, number, NOW, 0, reason, f"the detail of {reason}", body)


def test_share_of_rejected_readings_is_since_the_first_of_them() -> None:
    letters = [letter(90), letter(95), letter(99, "late")]
    assert rejected_share(letters, {ONE: OffsetCheckpoint(99, NOW)}) == (3, 10, "bad-time: the detail of bad-time")
    assert rejected_share([], {ONE: OffsetCheckpoint(99, NOW)}) == (0, 0, "")


def test_events_with_many_readings_count_with_all_of_them() -> None:
    body = json.dumps([{}] * 50).encode()
    letters = [letter(number, partition=TWO, body=body) for number in range(10)]
    assert rejected_share(letters, {TWO: OffsetCheckpoint(9, NOW)})[:2] == (10, 500)


def check(bodies: list[str], tmp_path: Path) -> Check:
    product = Product(load_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/store.db"}), lambda: NOW)
    letters = FakeDeadLetters()
    product.__dict__["dead_letters"] = letters
    events = [RawEvent(number, NOW, body.encode()) for number, body in enumerate(bodies)]
    Ingest(product.store, letters, IngestRules())(ONE, events)
    found = readings_check(product)
    product.store.dispose()
    return found


def reading(taken: datetime) -> str:
    return json.dumps({"TS": taken.isoformat(), "Device": "press-1", "Tag": "flow", "Value": 1})


def test_most_readings_rejected_are_a_warning_with_the_reason(tmp_path: Path) -> None:
    wrong = '{"TS": "yesterday", "Device": "press-1", "Tag": "flow", "Value": 1}'
    found = check([wrong] * 12 + [reading(NOW)] * 3, tmp_path)
    assert (found.well, found.warns) == (True, True)
    assert found.detail.startswith("12 of about 15 readings since the first rejected one")
    assert "bad-time" in found.detail
    assert "deadletters list" in found.advice


def test_late_readings_are_a_warning_too(tmp_path: Path) -> None:
    found = check([reading(NOW)] + [reading(NOW - timedelta(hours=3))] * 20, tmp_path)
    assert found.warns
    assert "most of them as late" in found.detail


def test_few_rejected_readings_are_no_warning(tmp_path: Path) -> None:
    found = check(["nonsense"] * 11 + [reading(NOW)] * 30, tmp_path)
    assert (found.warns, found.detail) == (False, "11 rejected in the last hour")
