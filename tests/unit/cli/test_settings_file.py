"""The settings file: found from any folder if it is named, and both ways to name it are in the message if it is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from sensorwatch.cli.app import app
from sensorwatch.errors import SettingsError
from sensorwatch.store import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in ("DATABASE_URL", "SENSORWATCH_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    return home, elsewhere


def test_a_named_file_works_from_any_folder(folders: tuple[Path, Path]) -> None:
    home, _ = folders
    open_store(f"sqlite:///{home}/store.db", shard_size=1000).dispose()
    file = home / "local.settings.json"
    values = {"DATABASE_URL": "sqlite:///store.db"}
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps({"Values": values}).encode())
    for words, environment in ((["--settings", str(file)], {}), ([], {"SENSORWATCH_SETTINGS": str(file)})):
        result = CliRunner().invoke(app, [*words, "sensors", "--json"], env=environment, catch_exceptions=False)
        assert json.loads(result.output) == []


@pytest.mark.parametrize("words", [[], ["--settings", "nowhere.json"]])
def test_without_a_file_the_message_names_both_ways_to_give_one(folders: tuple[Path, Path], words: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"--settings FILE or[\s\S]*SENSORWATCH_SETTINGS") as caught:
        CliRunner().invoke(app, [*words, "sensors"], catch_exceptions=False)
    assert (words or [str(folders[1] / "local.settings.json")])[-1] in str(caught.value)
