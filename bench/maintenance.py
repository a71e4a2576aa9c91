"""Predictive maintenance on a generated fleet: features beside PySpark's, training, scoring, and the recipes' figures.

``python -m bench.maintenance --machines 1000`` takes about an hour of one core with the original's forest, whose trees
see every sample as in the original; ``--recipes boosted`` leaves that out.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq

from bench.measure import RESULTS, merge_results, print_line
from sensorwatch.maintenance import classifiers
from sensorwatch.maintenance.features import FeatureSet, make_features
from sensorwatch.maintenance.fleet import SIGNALS, Fleet
from sensorwatch.maintenance.generator import generate_fleet
from sensorwatch.maintenance.training import TrainingPlan, measure_model
from sensorwatch.maintenance.writing import write_data_sets
from sensorwatch.steps.machine_score import machine_risks

_START = 1_420_070_400
_DAYS = 365
_END = _START + _DAYS * 86_400
_FIRST, _LAST = _START // 43_200 + 1, _END // 43_200
_TWO_MONTHS = 120
_T = TypeVar("_T")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures and keep them beside those of the other benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m bench.maintenance", description=__doc__)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--recipes", nargs="*", default=["boosted", "tree", "forest"])
    parser.add_argument("--spark", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    fleet = _timed(figures, "generate", lambda: generate_fleet(given.machines, _DAYS, _START, 7))
    print_line(f"{len(fleet.telemetry.hour):,} readings, {len(fleet.failures.time):,} failures")
    models = sorted(set(fleet.machines.model))
    sets: tuple[FeatureSet, ...] = ("original", "extended")
    for feature_set in sets:
        _timed(figures, f"features, {feature_set}", partial(make_features, fleet, models, feature_set, _FIRST, _LAST))
    if given.spark:
        _spark(fleet, figures)
    for recipe in given.recipes:
        _recipe(fleet, recipe, figures)
    figures["memory of the largest part, MiB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print_line(f"peak memory {figures['memory of the largest part, MiB']} MiB")
    merge_results({f"maintenance, {given.machines} machines": figures}, given.results)


def _recipe(fleet: Fleet, recipe: classifiers.Recipe, figures: dict[str, Any]) -> None:
    plan = TrainingPlan(recipe=recipe, jobs=os.cpu_count() or 1)
    every_row = patch.object(classifiers, "BOOTSTRAP_ROWS", 1 << 60)
    # The original's trees see every sample; what is published is fitted a second time, on all samples.
    with every_row:
        measured = _timed(figures, f"{recipe}: train and measure", lambda: measure_model(fleet, plan, None, _END))
    model = measured.model

    def score() -> int:
        table = model.features(fleet, _LAST - _TWO_MONTHS + 1, _LAST)
        return len(machine_risks(model, fleet, table, "bench"))

    _timed(figures, f"{recipe}: score two months, with reasons", score)
    metrics = measured.metrics
    found = {
        **asdict(metrics.pooled),
        "pr_auc": float(np.mean(list(metrics.pr_auc.values()))),
        "failures": metrics.failures,
        "warned": metrics.warned,
        "median_lead_days": metrics.median_lead_days,
        "false_alarms_per_machine_year": metrics.false_alarms_per_machine_year,
    }
    figures[f"{recipe}: on the test part"] = found
    print_line(f"{recipe}: " + ", ".join(f"{name} {value:.3g}" for name, value in found.items()))


def _timed(figures: dict[str, Any], name: str, work: Callable[[], _T]) -> _T:
    began, cpu = time.perf_counter(), _cpu_seconds()
    result = work()
    figures[name] = {"cpu_seconds": round(_cpu_seconds() - cpu, 2), "seconds": round(time.perf_counter() - began, 2)}
    print_line(f"{name}: {figures[name]['cpu_seconds']} CPU-seconds, {figures[name]['seconds']} s by the clock")
    return result


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _spark(fleet: Fleet, figures: dict[str, Any]) -> None:
    """The signals' part of the original columns, as a Spark job over a Parquet file; it starts a JVM of its own."""
    if find_spec("pyspark") is None:
        print_line("features, PySpark: skipped, as pyspark is not installed: pip install -r requirements-bench.txt")
        return
    with TemporaryDirectory() as folder:
        write_data_sets(fleet, Path(folder), "parquet")
        name = "features, original, signals only, PySpark"
        try:
            _timed(figures, name, lambda: _spark_features(Path(folder)))
        except Exception as exc:  # noqa: BLE001  whatever keeps Spark from running here, the others are measured
            print_line(f"{name}: skipped: {type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}")
            return
        rows = pq.read_table(Path(folder) / "features").num_rows
        print_line(f"PySpark wrote {rows:,} samples")


def _spark_features(folder: Path) -> None:
    import signal

    from pyspark.sql import SparkSession, Window
    from pyspark.sql import functions as f

    spark = (
        SparkSession.builder.master(f"local[{os.cpu_count()}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "4g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    telemetry = spark.read.parquet(str(folder / "telemetry.parquet"))
    hours = (f.unix_timestamp("datetime") / 3600).cast("long")
    columns = []
    for lag in (12, 24, 36):
        window = Window.partitionBy("machineID").orderBy(hours).rangeBetween(1 - lag, 0)
        columns += [f.avg(name).over(window).alias(f"{name}_mean_{lag}h") for name in SIGNALS]
        columns += [f.stddev(name).over(window).alias(f"{name}_std_{lag}h") for name in SIGNALS]
    rolled = telemetry.select("machineID", "datetime", hours.alias("hour"), *columns)
    rolled.filter(f.col("hour") % 12 == 0).write.parquet(str(folder / "features"))
    gateway: Any = spark.sparkContext._gateway
    jvm = gateway.proc
    spark.stop()
    # Its CPU time is counted once it has ended and was waited for.
    jvm.stdin.close()
    try:
        jvm.wait(30)
    except Exception:  # noqa: BLE001  a JVM that stays is ended
        jvm.send_signal(signal.SIGTERM)
        jvm.wait(30)


if __name__ == "__main__":
    main()
