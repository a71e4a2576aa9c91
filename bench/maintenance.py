"""Benchmark of predictive maintenance on a generated fleet: features (also with PySpark), training, scoring, quality.

``python -m bench.maintenance --machines 1000`` takes about an hour on one core, as the trees of the original's forest
use all samples; ``--recipes boosted`` leaves the forest out. ``--seeds 101 202 303`` only compares the quality of the
recipes on the fleets of these seeds.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from bench.machine_quality import compare_recipes, figures_of, measured_as_the_original
from bench.machine_spark import check_equal, spark_features
from bench.measure import RESULTS, merge_results, print_line
from sensorwatch.machines import classifiers
from sensorwatch.machines.features import FeatureSet, FeatureTable, make_features
from sensorwatch.machines.fleet import Fleet
from sensorwatch.machines.generator import generate_fleet
from sensorwatch.machines.model_table import model_to_table
from sensorwatch.machines.score import machine_risks
from sensorwatch.machines.training import TrainingPlan, train_model
from sensorwatch.machines.writing import write_data_sets

_START = 1_420_070_400
_DAYS = 365
_END = _START + _DAYS * 86_400
_FIRST, _LAST = _START // 43_200 + 1, _END // 43_200
_TWO_MONTHS = 120
_T = TypeVar("_T")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark, print its figures and store them."""
    parser = argparse.ArgumentParser(prog="python -m bench.maintenance", description=__doc__)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--recipes", nargs="*", default=["boosted", "tree", "forest"])
    parser.add_argument(
        "--seeds", nargs="*", type=int, default=[], help="only compare the recipes on the fleets of these seeds"
    )
    parser.add_argument("--spark", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    if given.seeds:
        compared = compare_recipes(
            lambda seed: generate_fleet(given.machines, _DAYS, _START, seed), given.seeds, given.recipes, _END
        )
        merge_results({f"maintenance, {given.machines} machines, quality": compared}, given.results)
        return
    fleet = _timed(figures, "generate", lambda: generate_fleet(given.machines, _DAYS, _START, 7))
    print_line(f"{len(fleet.telemetry.hour):,} readings, {len(fleet.failures.time):,} failures")
    models = sorted(set(fleet.machines.model))
    sets: tuple[FeatureSet, ...] = ("extended", "original")
    for feature_set in sets:
        make = partial(make_features, fleet, models, feature_set, _FIRST, _LAST)
        table = _timed(figures, f"features, {feature_set}", make)
    if given.spark:
        _spark(fleet, table, figures)
    for recipe in given.recipes:
        _recipe(fleet, recipe, figures)
    figures["memory of the largest part, MiB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print_line(f"peak memory {figures['memory of the largest part, MiB']} MiB")
    merge_results({f"maintenance, {given.machines} machines": figures}, given.results)


def _recipe(fleet: Fleet, recipe: classifiers.Recipe, figures: dict[str, Any]) -> None:
    if recipe == TrainingPlan().recipe:
        name = f"{recipe}: as `sensorwatch maintenance train`, from the fleet in memory to the table that is stored"
        _timed(figures, name, lambda: model_to_table(train_model(fleet, TrainingPlan(), None, _END).model))
    measured = _timed(figures, f"{recipe}: train and measure", lambda: measured_as_the_original(fleet, recipe, _END))
    model = measured.model

    def score() -> int:
        table = model.features(fleet, _LAST - _TWO_MONTHS + 1, _LAST)
        return len(machine_risks(model, fleet, table, "bench"))

    _timed(figures, f"{recipe}: score two months, with reasons", score)
    found = figures_of(measured)
    figures[f"{recipe}: on the test part"] = found
    print_line(f"{recipe}: " + ", ".join(f"{name} {value:.3g}" for name, value in found.items()))


def _timed(figures: dict[str, Any], name: str, work: Callable[[], _T]) -> _T:
    began, cpu = time.perf_counter(), _cpu_seconds()
    result = work()
    figures[name] = {"cpu_seconds": round(_cpu_seconds() - cpu, 2), "seconds": round(time.perf_counter() - began, 2)}
    print_line(f"{name}: {figures[name]['cpu_seconds']} CPU-seconds, {figures[name]['seconds']} s wall time")
    return result


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its ended children."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _spark(fleet: Fleet, ours: FeatureTable, figures: dict[str, Any]) -> None:
    """Measure the signal features of the original as a Spark job on a Parquet file; its values must equal ours."""
    if find_spec("pyspark") is None:
        print_line("features, PySpark: skipped, as pyspark is not installed: pip install -r requirements-bench.txt")
        return
    with TemporaryDirectory() as folder:
        write_data_sets(fleet, Path(folder), "parquet")
        _timed(figures, "features, original, signals only, PySpark", lambda: spark_features(Path(folder)))
        compared = check_equal(Path(folder), fleet, ours)
    figures["samples with equal values by PySpark"] = compared
    print_line(f"PySpark has the same means and deviations for {compared:,} of {len(ours.sample):,} samples")


if __name__ == "__main__":
    main()
