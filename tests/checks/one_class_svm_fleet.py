"""Sensors of every kind, and scikit-learn's answers for them, to hold the one-class SVM's detectors against."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series

__all__ = ["KINDS", "REAL", "grid", "real_sensors", "reference", "score_of", "synthetic_sensor"]

KINDS = (
    "uniform",
    "autoregressive",
    "spiky",
    "heavy-tailed",
    "constant",
    "integers",
    "huge",
    "tiny",
    "two modes",
    "steps",
)
REAL = (
    Path(os.environ.get("SENSORWATCH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "sensor_data.csv"
)
WINDOWS = 720


def synthetic_sensor(seed: int) -> np.ndarray:
    """Return a sensor; its kind follows from the seed."""
    random = np.random.default_rng(seed)
    n = WINDOWS
    match KINDS[seed % len(KINDS)]:
        case "uniform":
            return random.uniform(-1, 1, n)
        case "autoregressive":
            noise, walk = random.normal(size=n), np.zeros(n)
            for i in range(1, n):
                walk[i] = random.choice([0.9, 0.99]) * walk[i - 1] + noise[i]
            return walk
        case "spiky":
            values = random.normal(20, 1, n)
            spikes = random.integers(1, 6)
            values[random.integers(0, n, spikes)] += random.normal(0, 10 ** random.uniform(0.5, 9), spikes)
            return values
        case "heavy-tailed":
            return random.standard_t(random.choice([1, 2, 3]), n)
        case "constant":
            return np.full(n, random.normal(20, 5))
        case "integers":
            return np.asarray(random.integers(0, random.integers(2, 50), n), np.float64)
        case "huge":
            return 1e9 * random.standard_t(4, n) + 1e12
        case "tiny":
            return 1e-9 * random.standard_t(4, n)
        case "two modes":
            return np.where(random.random(n) < 0.003, random.normal(500, 1, n), random.normal(20, 1, n))
        case _:
            return np.repeat(random.normal(0, 10, 6), n // 6) + random.normal(0, 0.01, n)


def real_sensors() -> list[np.ndarray]:
    """Return the recorded sensors' 5 s means, in the order of time."""
    sums: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with REAL.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            second = int(row["TS"][17:19])
            sums[row["Device"], row["Tag"]][f"{row['TS'][:17]}{second // 5}"].append(float(row["Value"]))
    return [np.array([np.mean(found[window]) for window in sorted(found)]) for _, found in sorted(sums.items())]


def reference(values: np.ndarray, points: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's decision values and labels."""
    scaler = StandardScaler().fit(values[:, None])
    svm = OneClassSVM(nu=0.0001, kernel="rbf", gamma=0.01, tol=tolerance).fit(scaler.transform(values[:, None]))
    scaled = scaler.transform(points[:, None])
    return svm.decision_function(scaled), svm.predict(scaled)


def grid(values: np.ndarray) -> np.ndarray:
    """Return points from well below to well above the training range, the training values among them."""
    reach = 3 * values.std()
    return np.concatenate((np.linspace(values.min() - reach, values.max() + reach, 1001), values))


def score_of(name: str, values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the raw scores of points by a detector that was fitted to values."""
    params = detector(name).fit(_one(values)).params
    return detector(name).score(params, _one(points))


def _one(values: np.ndarray) -> Series:
    return Series(np.array([0, len(values)]), np.arange(len(values), dtype=np.int64) * 5, values)
