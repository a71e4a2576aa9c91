"""Dead letters in blob storage, taken in again over the command line into SQLite."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sensorwatch.app import Product
from sensorwatch.azure.blobs import ensure_containers
from sensorwatch.cli.app import app
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.dead_letters import BlobDeadLetters
from sensorwatch.ingestion.records import IngestCounts, Partition, RawEvent

pytestmark = pytest.mark.wire

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = "2026-11-20"
PARTITION = Partition("readings", "$Default", "3")
FAST = '{"TS": "2026-11-20T12:30:00Z", "Device": 1, "Tag": 1, "Value": 5}'
GOOD = '{"TS": "2026-11-20T11:59:00Z", "Device": 1, "Tag": 1, "Value": 1}'

Command = Callable[..., Any]


@pytest.fixture
def environment(azurite: str, tmp_path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path}/sensorwatch.db",
        "AzureWebJobsStorage": azurite,
        "DEAD_LETTERS_CONTAINER": f"letters-{uuid.uuid4().hex[:8]}",
    }


@pytest.fixture
def product(environment: dict[str, str]) -> Product:
    product = Product.from_environment(environment)
    ensure_containers(product.blobs, [product.settings.dead_letters_container])
    return product


@pytest.fixture
def dead_letters(product: Product) -> BlobDeadLetters:
    return product.dead_letters


@pytest.fixture
def command(environment: dict[str, str], product: Product, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs ``sensorwatch deadletters`` and returns its JSON."""
    monkeypatch.chdir(tmp_path)
    for key, value in environment.items():
        monkeypatch.setenv(key, value)

    def run(*arguments: str) -> Any:
        plain = CliRunner().invoke(
            app, ["deadletters", *arguments, *(["--dry-run"] if arguments[0] == "replay" else [])]
        )
        assert plain.exit_code == 0, plain.output
        result = CliRunner().invoke(app, ["deadletters", *arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"accept_late": true}\n', b'{"accept_late": 1}\n?\n'])
def test_a_damaged_replay_is_named(dead_letters: BlobDeadLetters, product: Product, content: bytes) -> None:
    container = product.blobs.get_container_client(product.settings.dead_letters_container)
    container.upload_blob(f"replays/day={DAY}/000000.ndjson", content)
    with pytest.raises(InvalidInputError, match=f"replays/day={DAY}/000000.ndjson"):
        list(dead_letters.replays(DAY))


def test_letters_are_listed_shown_and_taken_in_once(
    command: Command, product: Product, dead_letters: BlobDeadLetters
) -> None:
    events = [
        RawEvent(0, NOON, f"[{GOOD}, {FAST}, 7]".encode()),
        RawEvent(1, NOON, b"\xff"),
        RawEvent(2, NOON + timedelta(days=1), b""),
    ]
    assert product.ingest(PARTITION, events) == IngestCounts(5, 1, 0, 0, 4)
    # The same letters once more, in blobs with other boundaries, as after a crash.
    letters = list(dead_letters.read())
    dead_letters.write(letters[1:])
    dead_letters.write([replace(letters[0])])

    listed = command("list")
    assert [(row["day"], row["partition"], row["reason"], row["letters"]) for row in listed] == [
        (DAY, "3", "far-future", 1),
        (DAY, "3", "not-object", 1),
        (DAY, "3", "not-utf8", 1),
        ("2026-11-21", "3", "empty", 1),
    ]
    (shown,) = command("show", "--reason", "far-future", "--day", DAY, "--partition", "3", "--limit", "5")
    assert (shown["sequence_number"], shown["index"], shown["state"]) == (0, 1, "new")
    assert shown["body"] == f"[{GOOD}, {FAST}, 7]"
    assert "FUTURE_SECONDS" in shown["detail"]
    assert len(command("show", "--limit", "2")) == 2

    # The device's clock was right after all.
    lenient = ("replay", "--reason", "far-future")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUTURE_SECONDS", "3600")
        assert command(*lenient, "--dry-run") == {"letters_would_be_taken": 1, "taken_before": 0, "waiting": 0}
        taken = command(*lenient)
        assert (taken["letters_taken"], taken["accepted"], taken["received"]) == (1, 1, 1)
        assert (command(*lenient)["letters_taken"], command(*lenient)["received"]) == (0, 0)
    rest = command("replay", "--accept-late")
    assert (rest["letters_taken"], rest["taken_before"], rest["accepted"], rest["invalid"]) == (3, 1, 0, 3)
    assert command("replay")["letters_taken"] == 0

    listed = command("list")
    assert sum(row["replayed"] for row in listed) == 4
    left = [row for row in listed if row["partition"].startswith("replay-")]
    assert [(row["reason"], row["letters"], row["replayed"]) for row in left] == [
        ("not-object", 1, 0),
        ("not-utf8", 1, 0),
        ("empty", 1, 0),
    ]
    assert product.store.window_count() == 2
    assert len(product.store.ingest_status()) > 1
    for status in product.store.ingest_status():
        counts = status.counts
        assert counts.received == counts.accepted + counts.late + counts.duplicate + counts.invalid


def test_a_container_without_letters_says_so(command: Command) -> None:
    assert command("list") == []
    assert command("show") == []
    assert command("replay")["letters_taken"] == 0
