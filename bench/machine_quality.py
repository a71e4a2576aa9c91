"""Quality of the recipes of predictive maintenance on generated fleets, compared with the original's recipe."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from bench.measure import print_line
from sensorwatch.machines import classifiers
from sensorwatch.machines.fleet import Fleet
from sensorwatch.machines.training import Measured, TrainingPlan, measure_model

__all__ = ["ORIGINAL", "compare_recipes", "figures_of", "measured_as_the_original"]

ORIGINAL: classifiers.Recipe = "forest"


def compare_recipes(
    make_fleet: Callable[[int], Fleet], seeds: Sequence[int], recipes: Sequence[classifiers.Recipe], end: int
) -> dict[str, Any]:
    """Return the figures of each recipe on the fleet of each seed, and their ratios to the original's recipe.

    Every recipe is trained and tested on the same samples of the same fleets.

    Parameters
    ----------
    make_fleet
        Function that creates the fleet of a seed.
    seeds
        Seeds of the fleets.
    recipes
        Recipes to compare.
    end
        End of the data, in seconds since 1970.
    """
    found: dict[str, dict[str, dict[str, float]]] = {recipe: {} for recipe in recipes}
    for seed in seeds:
        fleet = make_fleet(seed)
        for recipe in recipes:
            begun = time.process_time()
            figures = figures_of(measured_as_the_original(fleet, recipe, end))
            found[recipe][str(seed)] = figures
            print_line(f"seed {seed}, {recipe}: {_shown(figures)} ({time.process_time() - begun:.0f} CPU-seconds)")
    result: dict[str, Any] = {recipe: {**by_seed, "mean": _mean(by_seed)} for recipe, by_seed in found.items()}
    for recipe in recipes:
        print_line(f"mean of {len(seeds)} fleets, {recipe}: {_shown(result[recipe]['mean'])}")
    for recipe in (each for each in recipes if each != ORIGINAL and ORIGINAL in recipes):
        ratios = {
            name: {
                str(seed): found[recipe][str(seed)][name] / found[ORIGINAL][str(seed)][name] for seed in seeds
            } | {"of the means": result[recipe]["mean"][name] / result[ORIGINAL]["mean"][name]}
            for name in ("recall", "f1")
        }  # fmt: skip
        result[f"{recipe} to {ORIGINAL}"] = ratios
        for name, by_seed in ratios.items():
            print_line(f"{recipe} to {ORIGINAL}, {name}: " + ", ".join(f"{k}: {v:.2f}" for k, v in by_seed.items()))
    return result


def measured_as_the_original(fleet: Fleet, recipe: classifiers.Recipe, end: int) -> Measured:
    """Train and measure a recipe; the trees of a forest use all samples, as in the original.

    Parameters
    ----------
    fleet
        Data of the machines.
    recipe
        The recipe.
    end
        End of the data, in seconds since 1970.
    """
    plan = TrainingPlan(recipe=recipe, jobs=os.cpu_count() or 1)
    with patch.object(classifiers, "BOOTSTRAP_ROWS", 1 << 60):
        return measure_model(fleet, plan, None, end)


def figures_of(measured: Measured) -> dict[str, float]:
    """Return the figures that are compared."""
    metrics = measured.metrics
    pooled = metrics.pooled
    return {
        "accuracy": pooled.accuracy,
        "precision": pooled.precision,
        "recall": pooled.recall,
        "f1": pooled.f1,
        "pr_auc": statistics.fmean(metrics.pr_auc.values()),
        "failures": metrics.failures,
        "warned": metrics.warned,
        "median_lead_days": metrics.median_lead_days or 0.0,
        "false_alarms_per_machine_year": metrics.false_alarms_per_machine_year,
    }


def _mean(by_seed: dict[str, dict[str, float]]) -> dict[str, float]:
    names = next(iter(by_seed.values()))
    return {name: statistics.fmean(figures[name] for figures in by_seed.values()) for name in names}


def _shown(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}".rstrip("0").rstrip(".") for name, value in figures.items())
