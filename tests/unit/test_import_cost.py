"""A function app starts cold often: what it imports before its first event is counted here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMERICAL = {"numba", "numpy", "pandas", "pyarrow", "scipy", "skops", "sklearn"}
CLIENTS = {"azure.batch", "azure.eventhub", "azure.identity", "azure.storage", "sqlalchemy"}
CLIENTS |= {"azure.monitor", "opentelemetry.sdk"}
CPU_SECONDS = 1.0
TRIES = 3

_IMPORT = """
import importlib, json, sys, time
before = time.process_time()
importlib.import_module(sys.argv[1])
seconds = time.process_time() - before
print(json.dumps({"seconds": seconds, "modules": sorted(sys.modules)}))
"""


def import_alone(module: str) -> tuple[float, set[str]]:
    """Import a module in a process of its own; return its CPU seconds and the names of all that was loaded."""
    output = subprocess.check_output([sys.executable, "-c", _IMPORT, module], cwd=ROOT, text=True)
    result = json.loads(output)
    return result["seconds"], set(result["modules"])


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("function_app", NUMERICAL | CLIENTS),
        ("sensorwatch.wiring", NUMERICAL | CLIENTS),
        ("sensorwatch.cli", NUMERICAL | CLIENTS),
        ("sensorwatch.cli.app", NUMERICAL | CLIENTS),
        ("sensorwatch.predictions", NUMERICAL),
        ("sensorwatch.store", NUMERICAL),
        ("sensorwatch.steps.ingest", NUMERICAL | CLIENTS),
        ("sensorwatch.steps.publish", NUMERICAL | CLIENTS),
        ("sensorwatch.steps.submit", NUMERICAL | CLIENTS),
        ("sensorwatch.steps.sweep", NUMERICAL | CLIENTS),
    ],
)
def test_importing_a_module_leaves_heavy_packages_alone(module: str, kept_out: set[str]) -> None:
    _, loaded = import_alone(module)
    assert module in loaded
    assert sorted(kept_out & loaded) == []


def test_importing_the_function_app_takes_under_a_second() -> None:
    seconds = min(import_alone("function_app")[0] for _ in range(TRIES))
    assert seconds < CPU_SECONDS
