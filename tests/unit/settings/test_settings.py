"""Settings: one clear message for each wrong one, and no secret in any text."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from sensorwatch.errors import SettingsError
from sensorwatch.settings import Settings, load_settings, read_settings_file

ROOT = Path(__file__).parents[3]
MINIMAL = {"DATABASE_URL": "sqlite:///:memory:"}


def test_settings_keep_their_names() -> None:
    """A name is in environments and scripts of others: add to the list, and change nothing in it."""
    names = (ROOT / "tests/data/setting_names.txt").read_text(encoding="utf-8").split()
    assert len(names) >= 108
    assert [field.alias for field in Settings.model_fields.values()] == names


def test_no_group_replaces_a_validator_of_another() -> None:
    names = [name for group in (*Settings.__bases__, Settings) for name in vars(group) if re.match("_[a-z]", name)]
    validators = Counter(name for name in names if name != "_abc_impl")
    assert "_known_database" in validators
    assert [name for name, times in validators.items() if times > 1] == []


def test_every_setting_has_a_sentence() -> None:
    sentences = [field.description or "" for field in Settings.model_fields.values()]
    assert sentences
    assert [text for text in sentences if not text.endswith(".") or not text[:1].isupper()] == []


def test_defaults_suffice_but_for_the_database() -> None:
    assert load_settings(MINIMAL).window_seconds == 5


def test_a_missing_setting_is_named_with_what_it_is() -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: missing; set it in .*Meaning: SQLAlchemy URL"):
        load_settings({})


def test_an_empty_value_counts_as_missing() -> None:
    assert load_settings(MINIMAL | {"WINDOW_SECONDS": " "}).window_seconds == 5


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("WINDOW_SECONDS", "7", "must divide 86400"),
        ("WINDOW_SECONDS", "five", "valid integer"),
        ("WINDOW_TIME", "Event", "'event' or 'arrival'"),
        ("SCORE_SCHEDULE", "*/5 * * * *", "should match pattern"),
        ("MODELS_CONTAINER", "My Models", "should match pattern"),
        ("BATCH_ACCOUNT_URL", "batch.example", "should match pattern"),
        ("EARLIEST_TIME", "2000-01-01T00:00:00", "should have timezone info"),
        ("SHARD_SIZE", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_reported_with_key_expected_got_and_meaning(key: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(MINIMAL | {key: value})
    message = str(caught.value)
    assert message.startswith(f"{key}: ")
    assert expected in message
    assert f"got `{value}`" in message
    assert "Meaning: " in message


def test_every_wrong_setting_is_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"WINDOW_SECONDS": "7", "SHARD_SIZE": "0"})
    assert len(str(caught.value).splitlines()) == 3


def test_more_anomalous_than_recent_windows_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"ALERT_ANOMALOUS_WINDOWS \(9\) must not exceed ALERT_RECENT_WINDOWS \(5\)"
    ):
        load_settings(MINIMAL | {"ALERT_ANOMALOUS_WINDOWS": "9"})


def test_no_secret_shows_in_a_message_or_a_repr() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"DATABASE_URL": "postgres://sa:hunter2@db"})
    assert "hunter2" not in str(caught.value)
    settings = load_settings(
        {
            "DATABASE_URL": "mssql+pyodbc://sa:hunter2@db/x",
            "EventHub": "SharedAccessKey=hunter2",
            "BATCH_ACCOUNT_KEY": "hunter2",
        }
    )
    assert "hunter2" not in repr(settings) + str(settings)


def test_a_tasks_environment_carries_what_was_set_but_no_secret() -> None:
    settings = load_settings(
        {
            "DATABASE_URL": "mssql+pyodbc://sa:hunter2@db/x",
            "AzureWebJobsStorage": "AccountKey=hunter2",
            "BATCH_ACCOUNT_KEY": "hunter2",
            "WINDOW_SECONDS": "10",
            "EARLIEST_TIME": "2001-01-01T00:00:00Z",
        }
    )
    assert settings.task_environment() == {"WINDOW_SECONDS": "10", "EARLIEST_TIME": "2001-01-01T00:00:00+00:00"}
    by_identity = "mssql+pyodbc://@server/db?Authentication=ActiveDirectoryMsi"
    assert load_settings({"DATABASE_URL": by_identity}).task_environment() == {"DATABASE_URL": by_identity}


def test_the_template_is_valid_and_the_same_settings_come_back_in_a_task() -> None:
    values = json.loads((ROOT / "local.settings.json.template").read_text())["Values"]
    settings = load_settings(values)
    again = load_settings(MINIMAL | settings.task_environment())
    assert again.model_dump(include=set(Settings.model_fields) - {"database_url"}, exclude_unset=True).items() <= (
        settings.model_dump().items()
    )


def test_a_relative_sqlite_path_is_taken_from_the_files_folder(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"Values": {"DATABASE_URL": "sqlite:///data/x.db"}}))
    assert read_settings_file(file)["DATABASE_URL"] == f"sqlite:///{tmp_path}/data/x.db"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"Values": []}', '{"Values": {"A": 1}}'])
def test_a_settings_file_of_another_form_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"local\.settings\.json: expected"):
        read_settings_file(file)


def test_the_configuration_file_beside_the_settings_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    file.write_text('{"Values": {"DATABASE_URL": "sqlite:///:memory:"}}')
    assert "CONFIGURATION_FILE" not in read_settings_file(file)
    (tmp_path / "sensorwatch.yaml").touch()
    assert read_settings_file(file)["CONFIGURATION_FILE"] == str(tmp_path / "sensorwatch.yaml")
    file.write_text('{"Values": {"CONFIGURATION_FILE": "rules/ours.yaml"}}')
    assert read_settings_file(file)["CONFIGURATION_FILE"] == str(tmp_path / "rules" / "ours.yaml")
