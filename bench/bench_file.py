"""Benchmark of averages over 5 seconds from a file of two million readings, next to other engines.

Every alternative runs in its own process and may use all cores. Start and imports are not measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from shutil import which

from bench.measure import Result, Size, show
from bench.workload import SENSORS, bodies

OURS = "sensorwatch"
QUICK = Size(readings=3_000, rounds=1)
FULL = Size(readings=2_000_000, rounds=3)
_LIMIT_SECONDS = 900
_ROOT = Path(__file__).parents[1]
_NEEDED = {"polars": "polars", "duckdb": "duckdb", "bytewax": "bytewax", "spark": "pyspark"}
_REMARKS = {
    OURS: "one process, windows merged in memory; all checks, late readings correct their window; nothing on disk",
    "sensorwatch to SQLite": "one process; exactly once: windows, counters and checkpoint in one transaction per 1,000",
    "polars": "whole file at once, all cores; no checks, one bad line ends the run; no late readings, no state",
    "duckdb": "whole file at once, all cores; no checks, one bad line ends the run; no late readings, no state",
    "bytewax": "stream with event time, watermark and any Python code; its recovery is not used here",
    "spark": "Structured Streaming, all cores: event time, watermark, checkpoints; can use many machines",
}


def run(size: Size) -> dict[str, object]:
    """Measure every installed alternative and return the figures."""
    results = {name: Result(name, remark=remark) for name, remark in _REMARKS.items()}
    # In a quick run, the start of an engine would dominate.
    quick = size.readings < FULL.readings
    for name, result in results.items():
        result.skipped = _why_not(name, quick=quick)
    cpu = {name: Result(name) for name in results}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "in" / "readings.ndjson"
        file.parent.mkdir()
        _write(file, size.readings)
        for number in range(size.rounds):
            for name, result in results.items():
                # The slow ones take minutes, so one round has to be enough.
                if result.skipped or (number and name in ("bytewax", "spark")):
                    continue
                figures = _measure(name, file)
                if isinstance(figures, str):
                    result.skipped = figures
                    continue
                result.rates.append(size.readings / figures["seconds"])
                cpu[name].rates.append(size.readings / max(figures["cpu"], 1e-9))
    for name, result in cpu.items():
        result.skipped, result.remark = results[name].skipped, results[name].remark
    title = f"A file of {size.readings:,} readings, {SENSORS:,} sensors, to averages over 5 s"
    show(title, list(results.values()), "readings/s", OURS)
    show(f"{title}, by the cores' time", list(cpu.values()), "readings/CPU-s", OURS)
    return {
        "file, by the clock": {name: result.as_json() for name, result in results.items()},
        "file, by CPU": {name: result.as_json() for name, result in cpu.items()},
    }


def _why_not(name: str, *, quick: bool) -> str:
    needed = _NEEDED.get(name)
    if needed is None:
        return ""
    if find_spec(needed) is None:
        return f"{needed} is not installed"
    if name == "spark" and which("java") is None:
        return "java is not installed"
    return "not in a quick run" if quick and name in ("bytewax", "spark") else ""


def _write(file: Path, readings: int) -> None:
    lines = bodies(0, readings)
    with file.open("wb") as out:
        while some := list(islice(lines, 10_000)):
            out.write(b"\n".join(some) + b"\n")


def _measure(name: str, file: Path) -> dict[str, float] | str:
    """Return wall and CPU seconds of an alternative, or the reason why it was not measured."""
    command = [sys.executable, "-m", "bench.file_ways", name, str(file)]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_LIMIT_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        return f"not finished after {_LIMIT_SECONDS} s"
    except subprocess.CalledProcessError as exc:
        return f"failed: {exc.stderr.strip().splitlines()[-1][:150] if exc.stderr.strip() else exc.returncode}"
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures
