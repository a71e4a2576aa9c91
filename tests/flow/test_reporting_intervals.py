"""Sensors that report at any interval alert by default settings, and clear by their own rhythm."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensorwatch.app import Product
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.tasks.records import Run, TaskSpec, task_id

pytestmark = [pytest.mark.flow]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
END = int(NOON.timestamp())
INTERVALS = {"60 s": (60, 0), "240 s": (240, 0), "300 s": (300, 0), "300 to 315 s": (300, 15), "600 s": (600, 0)}
DAYS = 2
FAULT_SECONDS = 3 * 3600


def windows_of(sensor_id: int, name: str, first: int, last: int, fault: range) -> list[Window]:
    """Windows of one reading each: N(20, 0.5), and 30 sigma more in the fault."""
    chance = random.Random(f"{name} {first}")
    interval, jitter = INTERVALS[name]
    found: dict[int, Window] = {}
    moment = float(first)
    while moment < last:
        moment += interval + chance.uniform(0, jitter)
        end = -(-int(moment) // 5) * 5
        value = chance.gauss(20, 0.5) + 15 * (end in fault)
        found[end] = Window(sensor_id, end, 1, value, value, value, value * value)
    return [window for end, window in found.items() if end <= last]


@pytest.fixture
def product(azurite: str, tmp_path: Path) -> Product:
    suffix = uuid.uuid4().hex[:8]
    names = ("MODELS", "PREDICTIONS", "DEAD_LETTERS", "TASK_LOGS", "MACHINES")
    containers = {f"{name}_CONTAINER": f"{name.lower().replace('_', '-')}-{suffix}" for name in names}
    database = f"sqlite:///{tmp_path / 'db'}"
    # A detector that looks at a window alone: what is tested is when alerts open and clear.
    settings = {"DATABASE_URL": database, "AzureWebJobsStorage": azurite, "DETECTOR": "range"}
    product = Product.from_environment({**settings, **containers})
    product.prepare(pool=False)
    return product


def add(product: Product, number: int, windows: list[Window]) -> None:
    partition = Partition("readings", "$Default", "0")
    store = product.store
    counts = IngestCounts(len(windows), len(windows), 0, 0, 0)
    newest = datetime.fromtimestamp(max(window.end for window in windows), UTC)
    store.commit_ingest(
        partition, store.offset_checkpoint(partition), OffsetCheckpoint(number, newest), windows, counts
    )


def begun(product: Product, kind: str, start: datetime | None, end: datetime) -> TaskSpec:
    task = TaskSpec(f"{kind}-1", task_id(kind, 0), kind, 0, start, end)  # type: ignore[arg-type]
    assert product.store.begin_run(Run(task.run_id, task.kind, end, (task,)), end)
    return task


def test_a_fault_of_three_hours_is_one_alert_at_every_interval(product: Product) -> None:
    keys = [SensorKey("press-1", name) for name in INTERVALS]
    ids = product.store.sensor_ids(keys)
    history = [window for key in keys for window in windows_of(ids[key], key.tag, END - DAYS * 86_400, END, range(0))]
    add(product, 1, sorted(history, key=lambda window: window.end))
    assert product.train(begun(product, "train", None, NOON)).trained == len(INTERVALS)

    fault = range(END + 3600, END + 3600 + FAULT_SECONDS)
    last = END + 8 * 3600
    live = [window for key in keys for window in windows_of(ids[key], key.tag, END, last, fault)]
    add(product, 2, sorted(live, key=lambda window: window.end))
    until = datetime.fromtimestamp(last, UTC)
    product.score(begun(product, "score", NOON, until))
    (name,) = product.prediction_files.names("score-1")
    content = product.blobs.get_container_client(product.settings.predictions_container).download_blob(name).readall()
    product.publish(name, content)

    alerts = [alert for alert in product.store.alerts(limit=100) if alert.kind == "anomaly"]
    of_sensor = {key.tag: [alert for alert in alerts if alert.sensor_id == ids[key]] for key in keys}
    assert {tag: len(found) for tag, found in of_sensor.items()} == dict.fromkeys(INTERVALS, 1)
    for tag, (alert,) in of_sensor.items():
        interval = sum(INTERVALS[tag])
        # The third anomalous window opens the alert; it clears after the quiet period of the sensor.
        assert fault.start <= alert.opened_end <= fault.start + 4 * interval, tag
        assert alert.cleared_end is not None, tag
        quiet = max(300, 5 * interval)
        assert quiet <= alert.cleared_end - alert.last_anomaly_end <= quiet + 2 * interval, tag
    assert until - NOON == timedelta(hours=8)
