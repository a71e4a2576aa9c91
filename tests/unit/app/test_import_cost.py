"""Limits on imports before the first event, because a function app often starts cold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NUMERICAL = {"numba", "numpy", "pandas", "pyarrow", "scipy", "skops", "sklearn"}
CLIENTS = {"azure.batch", "azure.eventhub", "azure.identity", "azure.storage", "sqlalchemy"}
CLIENTS |= {"azure.monitor", "opentelemetry.sdk"}
# What a Batch task may need later, or never: tasks are so short that their start is most of what scoring costs.
LATER = {"alembic", "azure.batch", "azure.eventhub", "azure.identity", "azure.monitor", "croniter", "fastapi", "httpx"}
LATER |= {"icalendar", "joblib", "local", "numba", "onnx", "onnxruntime", "opentelemetry.sdk", "pandas"}
LATER |= {
    "pyodbc",
    "recurring_ical_events",
    "rich",
    "scipy",
    "skops",
    "sklearn",
    "sqlalchemy.orm",
    "starlette",
    "typer",
}
START = ["sensorwatch.app.product", "sensorwatch.telemetry.exporting", "sensorwatch.config.file"]
START += [
    "sensorwatch.config.stored",
    "sensorwatch.store",
    "sensorwatch.store.dialects.sqlite",
    "sensorwatch.azure.blobs",
]
START += [
    "sensorwatch.models.registry",
    "sensorwatch.models.checkpoint_files",
    "sensorwatch.tasks.prediction_files",
    "azure.storage.blob",
]
CPU_SECONDS = 1.0
TRIES = 3

_IMPORT = """
import importlib, json, sys, time
before = time.process_time()
for module in sys.argv[1:]:
    importlib.import_module(module)
seconds = time.process_time() - before
print(json.dumps({"seconds": seconds, "modules": sorted(sys.modules)}))
"""


def import_alone(*modules: str) -> tuple[float, set[str]]:
    """Import modules in a process of their own; return its CPU seconds and the names of all that was loaded."""
    output = subprocess.check_output([sys.executable, "-c", _IMPORT, *modules], cwd=ROOT, text=True)
    result = json.loads(output)
    return result["seconds"], set(result["modules"])


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("function_app", NUMERICAL | CLIENTS),
        ("sensorwatch.app", NUMERICAL | CLIENTS),
        ("sensorwatch.cli", NUMERICAL | CLIENTS),
        ("sensorwatch.cli.app", NUMERICAL | CLIENTS),
        ("sensorwatch.tasks.prediction_files", NUMERICAL),
        ("sensorwatch.store", NUMERICAL),
        ("sensorwatch.ingestion.ingest", NUMERICAL | CLIENTS),
        ("sensorwatch.alerts.publish", NUMERICAL | CLIENTS),
        ("sensorwatch.scheduling.submit", NUMERICAL | CLIENTS),
        ("sensorwatch.scheduling.sweep", NUMERICAL | CLIENTS),
    ],
)
def test_importing_a_module_leaves_heavy_packages_alone(module: str, kept_out: set[str]) -> None:
    _, loaded = import_alone(module)
    assert module in loaded
    assert sorted(kept_out & loaded) == []


@pytest.mark.parametrize(("kind", "step"), [("train", "training"), ("score", "scoring")])
def test_the_start_of_a_task_loads_only_what_every_task_needs(kind: str, step: str) -> None:
    _, loaded = import_alone(f"batch_tasks.{kind}", *START, f"sensorwatch.models.{step}.{kind}")
    assert {"pyarrow", "sqlalchemy", "azure.storage.blob"} <= loaded
    assert sorted(LATER & loaded) == []


def test_importing_the_function_app_takes_under_a_second() -> None:
    seconds = min(import_alone("function_app")[0] for _ in range(TRIES))
    assert seconds < CPU_SECONDS
