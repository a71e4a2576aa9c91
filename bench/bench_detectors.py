"""Benchmark of the detectors per sensor, next to similar ones of PyOD, river and stumpy.

Measured are fitting on 720 and on 20,000 windows, with and without calibration, and scoring of 12 new windows with the
detector state. All runs are in one process on one thread; rates are sensors per CPU-second, and alternatives take
turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
from threadpoolctl import threadpool_limits

from bench.measure import Result, Size, compare, print_line, show
from sensorwatch.detectors.base import training_scores
from sensorwatch.detectors.calibration import calibrate
from sensorwatch.detectors.ensembles.composite import CompositeDetector, PreviousModels
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series

WINDOWS, LONG, SCORED = 720, 20_000, 12
QUICK = Size(readings=20 * WINDOWS, rounds=1)
FULL = Size(readings=1_000 * WINDOWS, rounds=5)

FAST = ("range", "ewma")
MEMBERS = (*FAST, "ar_season", "pca_maha", "shift", "kmeans", "variation")
AUTO = "auto"
WINDOW_SECONDS = 300
LAGS, PATTERN = 16, 96


def run(size: Size) -> dict[str, object]:
    """Run the benchmark and return its figures."""
    sensors = size.readings // WINDOWS
    with threadpool_limits(1):
        return {
            "detectors": {
                **_fit(sensors, WINDOWS, size.rounds),
                **_fit(max(2, sensors // 20), LONG, max(1, size.rounds // 2)),
                **_score(sensors, size.rounds),
                **_peers(size.rounds),
            }
        }


def fleet(sensors: int, windows: int) -> np.ndarray:
    """Return values of sensors with a daily rhythm, drift and noise, shape ``(sensors, windows)``."""
    random = np.random.default_rng(17)
    day = np.sin(2 * np.pi * np.arange(windows) * WINDOW_SECONDS / 86_400)
    drift = np.cumsum(random.normal(size=(sensors, windows)), axis=1) * 0.02
    return 20 + 3 * day + drift + random.normal(size=(sensors, windows))


def series_of(values: np.ndarray, first: int = 0) -> Series:
    sensors, windows = values.shape
    times = 1_767_225_600 + WINDOW_SECONDS * (first + np.arange(1, windows + 1, dtype=np.int64))
    offsets = np.arange(sensors + 1, dtype=np.int64) * windows
    return Series(offsets, np.tile(times, sensors), np.ascontiguousarray(values).ravel())


def _fit(sensors: int, windows: int, rounds: int) -> dict[str, object]:
    figures: dict[str, object] = {}
    every = series_of(fleet(sensors, windows))
    some = every.part(0, max(1, sensors // 10))
    total = 0.0
    results: list[Result] = []
    for name in MEMBERS:
        series = every if name in FAST else some
        ways: dict[str, Callable[[], object]] = {
            name: partial(detector(name).fit, series),
            f"{name}, calibrated": partial(_calibrated, name, series),
        }
        # A first call, so that the time of loading modules is not measured.
        detector(name).fit(series.part(0, 1))
        found = compare(ways, series.n_sensors, rounds)
        total += 1000 / found[1].median
        results += found
    automatic = detector(AUTO)
    assert isinstance(automatic, CompositeDetector)
    kept = PreviousModels.keeping_weights(automatic.fit(some).params)
    results += compare(
        {
            f"{AUTO}, weights kept": partial(automatic.warm_start, some, kept),
            f"{AUTO}, weights found": partial(automatic.fit, some),
        },
        some.n_sensors,
        rounds,
    )
    whole = 1000 / results[-2].median
    show(f"Fitting on {windows:,} windows per sensor", results, "sensors/CPU-s", MEMBERS[0])
    print_line(f"all seven, each fitted and calibrated alone on {windows:,} windows: {total:.2f} ms per sensor")
    print_line(f"{AUTO}, with known weights: {whole:.2f} ms per sensor")
    figures |= {result.name: result.as_json() for result in results}
    return {
        f"fit_{windows}": figures,
        f"fit_{windows}_ms_a_sensor": round(total, 2),
        f"fit_{windows}_{AUTO}_ms_a_sensor": round(whole, 2),
    }


def _calibrated(name: str, series: Series) -> None:
    chosen = detector(name)
    raw = training_scores(chosen, chosen.fit(series), series)
    calibrate(raw, series.offsets, chosen.threshold)


def _score(sensors: int, rounds: int) -> dict[str, object]:
    values = fleet(sensors, WINDOWS + SCORED)
    trained, new = series_of(values[:, :WINDOWS]), series_of(values[:, WINDOWS:], WINDOWS)
    figures: dict[str, object] = {}
    results: list[Result] = []
    for name in (*MEMBERS, AUTO):
        chosen = detector(name)
        params = chosen.fit(trained).params
        work = partial(chosen.advance, params, new)
        work()
        results += compare({name: work}, sensors, rounds * 3)
    # The last one is `auto`.
    milliseconds, size = 1000 / results[-1].median, params.nbytes / sensors
    show(f"Scoring {SCORED} new windows per sensor, with detector state", results, "sensors/CPU-s", MEMBERS[0])
    print_line(f"{AUTO}: {milliseconds:.3f} ms and {size / 1000:.1f} kB per sensor")
    figures |= {result.name: result.as_json() for result in results}
    return {
        f"score_{SCORED}": figures,
        f"score_{SCORED}_ms_a_sensor": round(milliseconds, 3),
        "bytes_a_sensor": round(size),
    }


def _peers(rounds: int) -> dict[str, object]:
    """Measure fitting and scoring of the same 720 windows with other libraries, one sensor after the other."""
    values = fleet(200, WINDOWS)
    few = values[:5]

    def own(name: str) -> Callable[[], object]:
        series = series_of(values)
        return lambda: detector(name).score(detector(name).fit(series).params, series)

    results = compare({name: own(name) for name in MEMBERS}, len(values), rounds)
    for name, package, make in (
        ("PyOD PCA on 16 lags", "pyod", _pyod_pca),
        ("PyOD kNN on 16 lags", "pyod", _pyod_knn),
        ("river GaussianScorer", "river", _river_gaussian),
        ("river HalfSpaceTrees", "river", _river_trees),
        ("stumpy matrix profile, 96", "stumpy", _stumpy),
    ):
        if find_spec(package) is None:
            results.append(Result(name, skipped=f"{package} is not installed: pip install -r requirements-bench.txt"))
            continue
        way = make()
        way(few[0])
        results += compare({name: partial(_each, way, few)}, len(few), rounds)
    show(f"Fitting and scoring {WINDOWS} windows", results, "sensors/CPU-s", "pca_maha")
    return {"peers": {result.name: result.as_json() for result in results}}


def _each(way: Callable[[np.ndarray], object], values: np.ndarray) -> None:
    for own in values:
        way(own)


def _lagged(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values, LAGS))


def _pyod_pca() -> Callable[[np.ndarray], object]:
    from pyod.models.pca import PCA

    return lambda values: PCA().fit(_lagged(values)).decision_scores_


def _pyod_knn() -> Callable[[np.ndarray], object]:
    from pyod.models.knn import KNN

    return lambda values: KNN().fit(_lagged(values)).decision_scores_


def _river_gaussian() -> Callable[[np.ndarray], object]:
    from river.anomaly import GaussianScorer

    def work(values: np.ndarray) -> list[float]:
        scorer = GaussianScorer(window_size=200)
        scores = []
        for value in values.tolist():
            scores.append(scorer.score_one(None, value))
            scorer.learn_one(None, value)
        return scores

    return work


def _river_trees() -> Callable[[np.ndarray], object]:
    from river.anomaly import HalfSpaceTrees

    def work(values: np.ndarray) -> list[float]:
        trees = HalfSpaceTrees(seed=0)
        scores = []
        for value in values.tolist():
            scores.append(trees.score_one({"value": value}))
            trees.learn_one({"value": value})
        return scores

    return work


def _stumpy() -> Callable[[np.ndarray], object]:
    import stumpy

    return lambda values: stumpy.stump(values, m=PATTERN)


if __name__ == "__main__":
    began = time.perf_counter()
    run(QUICK if "--quick" in sys.argv else FULL)
    print(f"{time.perf_counter() - began:.0f} s")
