"""Data of the last release opens, and goes on: database, models, detector checkpoints and prediction files.

``tests/data/releases`` holds what version 0.1.0 stored for one machine with a sensor for each detector: 700 windows
trained on, 60 scored with a fault in three sensors, 30 that wait. ``next.json`` has what that version made of the 30.
"""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from sensorwatch.app import Product
from sensorwatch.tasks.records import Run, TaskSpec, task_id

pytestmark = [pytest.mark.flow]

RELEASE = Path(__file__).parents[1] / "data/releases/0.1.0"
EXPECTED: dict[str, Any] = json.loads((RELEASE / "next.json").read_text(encoding="utf-8"))
START, END = (datetime.fromisoformat(EXPECTED[name]) for name in ("start", "end"))
SCORED = "run=score-20261120T120500Z/shard=000000.parquet"


@pytest.fixture
def product(azurite: str, tmp_path: Path) -> Product:
    """The product on a copy of the release's data."""
    database = tmp_path / "release.db"
    database.write_bytes(gzip.decompress((RELEASE / "release.db.gz").read_bytes()))
    suffix = uuid.uuid4().hex[:8]
    product = Product.from_environment(
        {
            "DATABASE_URL": f"sqlite:///{database}",
            "AzureWebJobsStorage": azurite,
            "CONFIGURATION_FILE": str(RELEASE / "sensorwatch.yaml"),
            "TRAINING_SECONDS": "7200",
            "MODELS_CONTAINER": f"models-{suffix}",
            "PREDICTIONS_CONTAINER": f"predictions-{suffix}",
            "DEAD_LETTERS_CONTAINER": f"dead-letters-{suffix}",
            "TASK_LOGS_CONTAINER": f"task-logs-{suffix}",
            "MACHINES_CONTAINER": f"machines-{suffix}",
        }
    )
    product.prepare(pool=False)
    for path in sorted((RELEASE / "blobs").rglob("*")):
        if path.is_file():
            container, _, name = path.relative_to(RELEASE / "blobs").as_posix().partition("/")
            product.blobs.get_container_client(f"{container}-{suffix}").upload_blob(name, path.read_bytes())
    return product


def scores_of(product: Product, run_id: str) -> dict[str, list[float | None]]:
    (name,) = product.prediction_files.names(run_id)
    table = product.prediction_files.read(name).sort_by([("sensor_id", "ascending"), ("ts", "ascending")])
    return {tag: table.filter(pc.equal(table["tag"], tag))["score"].to_pylist() for tag in EXPECTED["scores"]}


def begun(product: Product, kind: str, start: datetime | None) -> TaskSpec:
    task = TaskSpec(f"{kind}-next", task_id(kind, 0), kind, 0, start, END)  # type: ignore[arg-type]
    assert product.store.begin_run(Run(task.run_id, task.kind, END, (task,)), END)
    return task


def test_data_stored_by_the_last_release_are_there(product: Product) -> None:
    store = product.store
    assert [[alert.alert_id, alert.severity] for alert in store.alerts()] == EXPECTED["alerts"]
    handled = [store.alert(alert_id).handling for alert_id, _ in EXPECTED["alerts"]]
    assert [each.acknowledged_by for each in handled] == ["someone@example.com", None, None, None]
    assert [each.feedback for each in handled] == [None, "confirmed", None, None]
    assert {status.state for status in store.sensors()} == {"ready"}


def test_a_prediction_file_of_the_last_release_delivered_again_changes_nothing(product: Product) -> None:
    before = len(product.store.anomalies(limit=10_000))
    assert before
    content = (RELEASE / "blobs/predictions" / SCORED).read_bytes()
    outcome = product.publish(SCORED, content)
    assert (outcome.anomalies_added, outcome.anomalies_withdrawn, outcome.alerts_opened) == (0, 0, 0)
    assert len(product.store.anomalies(limit=10_000)) == before


def test_scoring_goes_on_with_the_models_and_checkpoints_of_the_last_release(product: Product) -> None:
    product.score(begun(product, "score", START))
    scores = scores_of(product, "score-next")
    assert len(scores) == EXPECTED["sensors"]
    for tag, expected in EXPECTED["scores"].items():
        assert scores[tag] == pytest.approx(expected, abs=1e-6), tag


def test_models_of_the_last_release_are_replaced_by_training(product: Product) -> None:
    summary = product.train(begun(product, "train", None))
    assert summary.trained == EXPECTED["sensors"]
    assert {status.state for status in product.store.sensors()} == {"ready"}
