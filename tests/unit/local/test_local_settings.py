"""The local stack's settings file: written once, for its owner only, and the one place for ports."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from local.settings_file import read_local_settings, write_settings_file
from sensorwatch.errors import SettingsError

TEMPLATE = Path(__file__).parents[3] / "local.settings.json.template"


def test_the_templates_ports_are_read_from_its_connections(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    write_settings_file(file, TEMPLATE)
    settings = read_local_settings(file)
    ports = (settings.blob_port, settings.event_hubs_port, settings.batch_port, settings.http_port)
    assert ports == (10000, 5673, 7072, 7071)


def test_the_file_is_for_its_owner_only_and_every_one_has_a_key_of_its_own(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file in files:
        write_settings_file(file, TEMPLATE)
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    keys = {json.loads(file.read_text())["Values"]["BATCH_ACCOUNT_KEY"] for file in files}
    assert len(keys) == 2
    assert "" not in keys


def test_an_existing_file_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text("mine")
    write_settings_file(file, TEMPLATE)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("EventHub", "Endpoint=sb://fleet.servicebus.windows.net/;SharedAccessKey=hunter2"),
        ("BATCH_ACCOUNT_URL", "https://fleet.westeurope.batch.azure.com"),
        ("AzureWebJobsStorage", "AccountName=fleet;AccountKey=hunter2;EndpointSuffix=core.windows.net"),
        ("EventHub", ""),
    ],
)
def test_a_service_elsewhere_is_refused_by_the_settings_name(tmp_path: Path, key: str, value: str) -> None:
    file = tmp_path / "local.settings.json"
    write_settings_file(file, TEMPLATE, values={key: value})
    with pytest.raises(
        SettingsError, match=f"^{key}: the local stack needs an address on 127.0.0.1 with a port"
    ) as caught:
        read_local_settings(file)
    assert "hunter2" not in str(caught.value)
