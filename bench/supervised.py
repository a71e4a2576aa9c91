"""Comparison of the supervised network with boosted trees, which get ten times the data, on labelled processor loads.

``python -m bench.supervised`` prints a row per seed: F1 of both on the same 20,000 windows, which neither was trained
on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from sensorwatch.detectors.neural.mlp import Mlp
from sensorwatch.detectors.windowing.lagged_values import lagged
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.simulation.markov import MarkovSignal

__all__ = ["main"]

_SENSOR = {"device": "cpu-1", "tag": "load"}
# Far apart, so that no two of them share a value.
_TRAINING, _TEST, _MUCH = 0, 10_000_000, 20_000_000


class _Row(NamedTuple):
    seed: int
    network: float
    trees: float
    fit_seconds: float
    score_seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print its table."""
    parser = argparse.ArgumentParser(prog="python -m bench.supervised", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (default: 10)")
    parser.add_argument(
        "--windows", type=int, default=20_000, help="number of training windows, and as many for the test"
    )
    given = parser.parse_args(arguments)
    print("seed  F1 network  F1 trees  network - trees  CPU-s to fit  CPU-s to score")
    with threadpool_limits(1):
        rows = [_measure(seed, given.windows) for seed in range(100, 100 + given.seeds)]
    for row in rows:
        difference = row.network - row.trees
        print(
            f"{row.seed:4}  {row.network:10.4f}  {row.trees:8.4f}  {difference:+15.4f}  {row.fit_seconds:12.2f}"
            f"  {row.score_seconds:14.3f}"
        )
    differences = [row.network - row.trees for row in rows]
    print(f"mean {np.mean(differences):+.4f}, smallest {min(differences):+.4f}")


def _measure(seed: int, windows: int) -> _Row:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import f1_score

    train, test = _labelled(_TRAINING, windows, seed), _labelled(_TEST, windows, seed)
    much = _labelled(_MUCH, 10 * windows, seed)
    trees = HistGradientBoostingClassifier(random_state=0).fit(lagged(much, 3), much.labels)
    network = Mlp()
    start = time.process_time()
    params = network.fit(train).params
    fitted = time.process_time()
    found = network.score(params, test) > network.threshold
    scored = time.process_time()
    return _Row(
        seed,
        f1_score(test.labels, found),
        f1_score(test.labels, trees.predict(lagged(test, 3))),
        fitted - start,
        scored - fitted,
    )


def _labelled(first: int, count: int, seed: int) -> Series:
    values, anomalous = MarkovSignal().emit(first, count, seed=seed, **_SENSOR)
    times = 5 * np.arange(first + 1, first + count + 1)
    return Series(np.array([0, count]), times, values, anomalous.astype(np.int8))


if __name__ == "__main__":
    main()
