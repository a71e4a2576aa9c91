"""The command ``python -m bench``: runs benchmarks, prints tables and stores the figures in ``.local/bench.json``."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import (
    bench_detectors,
    bench_file,
    bench_ingest,
    bench_memory,
    bench_models,
    bench_serve,
    bench_starts,
    bench_step,
    bench_store,
    bench_telemetry,
)
from bench.measure import RESULTS, Size, merge_results

_BENCHMARKS: dict[str, tuple[Callable[[Size], dict[str, object]], Size, Size]] = {
    "ingest": (bench_ingest.run, bench_ingest.QUICK, bench_ingest.FULL),
    "store": (bench_store.run, bench_store.QUICK, bench_store.FULL),
    "step": (bench_step.run, bench_step.QUICK, bench_step.FULL),
    "memory": (bench_memory.run, bench_memory.QUICK, bench_memory.FULL),
    "file": (bench_file.run, bench_file.QUICK, bench_file.FULL),
    "detectors": (bench_detectors.run, bench_detectors.QUICK, bench_detectors.FULL),
    "serve": (bench_serve.run, bench_serve.QUICK, bench_serve.FULL),
    "telemetry": (bench_telemetry.run, bench_telemetry.QUICK, bench_telemetry.FULL),
    "starts": (bench_starts.run, bench_starts.QUICK, bench_starts.FULL),
    "models": (bench_models.run, bench_models.QUICK, bench_models.FULL),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run benchmarks and print their tables.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(_BENCHMARKS)} (default: all)")
    parser.add_argument(
        "--quick", action="store_true", help="run with little work, to check that they run; the figures mean nothing"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"file of the figures (default: {RESULTS})")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in _BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; choose from {', '.join(_BENCHMARKS)}")
    for name in given.names or _BENCHMARKS:
        run, quick, full = _BENCHMARKS[name]
        # Stored after each one, so that an interrupted run keeps the earlier figures.
        merge_results(run(quick if given.quick else full), given.results)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    merge_results({"machine": machine, "quick": given.quick}, given.results)


if __name__ == "__main__":
    main()
