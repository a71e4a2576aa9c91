"""A task sees the configuration that its run was planned with, wherever it runs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sensorwatch.app import Product
from sensorwatch.config.file import configuration_name
from sensorwatch.config.stored import read_configuration, store_configuration
from sensorwatch.errors import SettingsError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey

pytestmark = pytest.mark.wire

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULES = "detectors: [{device: pump, detector: ocsvm_sklearn}]\n"


@pytest.fixture
def environment(azurite: str, tmp_path: Path) -> dict[str, str]:
    suffix = uuid.uuid4().hex[:8]
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'sensorwatch.db'}",
        "AzureWebJobsStorage": azurite,
        "MODELS_CONTAINER": f"models-{suffix}",
        "PREDICTIONS_CONTAINER": f"predictions-{suffix}",
        "DEAD_LETTERS_CONTAINER": f"dead-letters-{suffix}",
        "TASK_LOGS_CONTAINER": f"task-logs-{suffix}",
        "BATCH_ACCOUNT_URL": "http://127.0.0.1:9",
        "BATCH_ACCOUNT_NAME": "local",
        "BATCH_ACCOUNT_KEY": "a2V5",
    }


def test_a_stored_configuration_comes_back_by_its_name(environment: dict[str, str]) -> None:
    product = Product.from_environment(environment)
    product.prepare(pool=False)
    container = product.blobs.get_container_client(environment["MODELS_CONTAINER"])
    for _ in range(2):
        name = store_configuration(container, RULES.encode())
    assert name == configuration_name(RULES.encode())
    assert read_configuration(name, lambda: container, required=True) == RULES.encode()
    assert product.models.versions() == []


def test_a_stored_configuration_that_is_gone_or_changed_is_named(environment: dict[str, str]) -> None:
    product = Product.from_environment(environment)
    product.prepare(pool=False)
    container = product.blobs.get_container_client(environment["MODELS_CONTAINER"])
    name = configuration_name(RULES.encode())
    with pytest.raises(SettingsError, match="submit the run again"):
        read_configuration(name, lambda: container, required=True)
    container.upload_blob(f"configuration/{name.partition(':')[2]}.yaml", b"detectors: []")
    with pytest.raises(SettingsError, match=r"expected configuration/.* to hold stored:"):
        read_configuration(name, lambda: container, required=True)


def test_a_task_trains_by_the_stored_rules_without_a_file(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    planner = Product.from_environment(environment | {"CONFIGURATION_FILE": str(file)})
    planner.prepare(pool=False)
    values = random.Random(1)
    (sensor_id,) = planner.store.sensor_ids([SensorKey("pump", "temperature")]).values()
    drawn = [values.gauss(20, 1) for _ in range(300)]
    windows = [
        Window(sensor_id, int(NOON.timestamp()) - 5 * i, 1, value, value, value, value**2)
        for i, value in enumerate(drawn)
    ]
    mark, counts = OffsetCheckpoint(1, NOON), IngestCounts(300, 300, 0, 0, 0)
    planner.store.commit_ingest(Partition("readings", "$Default", "0"), None, mark, windows, counts)
    container = planner.blobs.get_container_client(environment["MODELS_CONTAINER"])
    name = store_configuration(container, file.read_bytes())
    file.unlink()

    subprocess.run(
        [sys.executable, "-m", "batch_tasks.train", "--run", "r", "--shard", "0", "--end", NOON.isoformat()],
        env={"PATH": os.environ["PATH"], **environment, "CONFIGURATION_FILE": name},
        capture_output=True,
        timeout=60,
        check=True,
    )
    ref = planner.models.current(0)
    assert ref is not None
    assert planner.models.load(ref)["detector"].to_pylist() == ["ocsvm_sklearn"]


def test_a_missing_file_is_an_error_only_when_it_was_asked_for(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Product.from_environment(environment).configuration.detectors == ()
    with pytest.raises(SettingsError, match=r"`rules\.yaml`, which does not exist"):
        _ = Product.from_environment(environment | {"CONFIGURATION_FILE": "rules.yaml"}).configuration


def test_a_run_is_not_submitted_with_a_configuration_that_has_mistakes(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("detectors: [{detector: nonsense}]")
    product = Product.from_environment(environment | {"CONFIGURATION_FILE": str(file)})
    with pytest.raises(SettingsError, match="unknown detector `nonsense`"):
        product.submit_due("train")
