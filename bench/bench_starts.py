"""Benchmark of the start of a Batch task: the interpreter and the imports of a task, part by part.

Every part is measured in its own process, and parts take turns. Figures are CPU times, user and system.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure import Size

QUICK = Size(readings=0, rounds=1)
FULL = Size(readings=0, rounds=9)

_ROOT = Path(__file__).parents[1]
_TASK = """
import batch_tasks.{kind}, sensorwatch.app, sensorwatch.store, sensorwatch.azure.blobs, sensorwatch.models.registry
import sensorwatch.models.checkpoint_files, sensorwatch.tasks.prediction_files, sensorwatch.models.{step}
import azure.storage.blob, pyarrow.parquet, sqlalchemy.dialects.sqlite
"""
_FIRST_COLUMN = "import pyarrow; pyarrow.array([1])\n"
"""Code that makes Arrow import pandas, if it is installed."""
_NO_AIOHTTP = "import sys; sys.modules['aiohttp'] = None\n"
"""Code that hides aiohttp from the process: the local stack's host needs it, but requirements.txt does not."""


def run(size: Size) -> dict[str, object]:
    """Run the benchmark and return the medians in seconds."""
    modules = _TASK.format(kind="score", step="scoring.score")
    train, score = _TASK.format(kind="train", step="training.train") + _FIRST_COLUMN, modules + _FIRST_COLUMN
    with tempfile.TemporaryDirectory() as empty:
        ways: dict[str, list[str]] = {
            "the interpreter alone": ["-c", "pass"],
            "NumPy": ["-c", "import numpy"],
            "Arrow": ["-c", "import pyarrow.compute, pyarrow.parquet"],
            "SQLAlchemy": ["-c", "import sqlalchemy.dialects.sqlite"],
            "azure-storage-blob": ["-c", "import azure.storage.blob"],
            "settings (pydantic)": ["-c", "import sensorwatch.settings"],
            "train": ["-c", train],
            "score": ["-c", score],
            "score as on a node, without aiohttp": ["-c", _NO_AIOHTTP + score],
            "score as on a node, before pandas": ["-c", _NO_AIOHTTP + modules],
            "score without any bytecode": ["-B", "-X", f"pycache_prefix={empty}", "-c", score],
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        _cpu_seconds(["-c", train + score])
        for _ in range(size.rounds):
            for name, arguments in ways.items():
                seconds[name].append(_cpu_seconds(arguments))
    table = Table("", "median", "least", title="Start of a task, CPU seconds", title_justify="left")
    for name, each in seconds.items():
        table.add_row(name, f"{statistics.median(each):.2f}", f"{min(each):.2f}")
    Console().print(table)
    return {"task_starts": {name: round(statistics.median(each), 3) for name, each in seconds.items()}}


def _cpu_seconds(arguments: list[str]) -> float:
    # The first start writes missing bytecode.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen([sys.executable, *arguments], cwd=_ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"a start ended with status {status}: {arguments}")
    return usage.ru_utime + usage.ru_stime
