"""Synthetic benchmark: ten kinds of faults in six kinds of normal behaviour, reproducible from a seed.

Windows have five minutes, and a series has five to seventeen days. It has one to four faults of one kind after the
training part. One series in six has another fault in the training part, which training does not know of; one in five
has gaps.

The strength of the faults is fixed so that the one-class SVM of the original system and random scores get about the
same mean VUS-PR as on public series of recorded data (0.26 and 0.14).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.evaluation.labelled_series import LabelledSeries
from sensorwatch.simulation.behaviours import BEHAVIOURS, course
from sensorwatch.simulation.faults import FAULTS, fault_windows, faulty
from sensorwatch.simulation.signals import generator

if TYPE_CHECKING:
    import numpy.typing as npt

    from sensorwatch.simulation.behaviours import Behaviour
    from sensorwatch.simulation.faults import Fault

__all__ = ["SEED", "TRAINING_SHARE", "synthetic_benchmark", "synthetic_series"]

SEED = 20261121
TRAINING_SHARE = 0.4

_WINDOW_SECONDS = 300
_FIRST_DAY = 1_767_225_600
"""2026-01-01T00:00:00Z."""
_REST = 100
"""Windows between two faults, and between a fault and the end of the training part."""
_PLACING_TRIES = 100


def synthetic_benchmark(seed: int = SEED, repeats: int = 1) -> list[LabelledSeries]:
    """Return ``60 * repeats`` series: every kind of fault in every kind of behaviour."""
    return [
        synthetic_series(fault, behaviour, repeat, seed)
        for repeat in range(repeats)
        for fault in FAULTS
        for behaviour in BEHAVIOURS
    ]


def synthetic_series(fault: Fault, behaviour: Behaviour, repeat: int = 0, seed: int = SEED) -> LabelledSeries:
    """Return one series of the benchmark.

    Parameters
    ----------
    fault
        Kind of its faults.
    behaviour
        Its normal behaviour.
    repeat
        Number of the series among those with the same fault and behaviour.
    seed
        Seed of all random numbers.

    Examples
    --------
    >>> series = synthetic_series("spike", "daily")
    >>> series.name, len(series.times) == len(series.labels), bool(series.labels.any())
    ('spike in daily 0', True, True)
    """
    rng = generator(seed, "synthetic", fault, behaviour, repeat)
    n = int(rng.integers(1500, 5000))
    start = _FIRST_DAY + _WINDOW_SECONDS * int(rng.integers(0, 7 * 288))
    times = start + _WINDOW_SECONDS * np.arange(1, n + 1, dtype=np.int64)
    healthy = course(behaviour, times, rng)
    values, labels = healthy.values.copy(), np.zeros(n, np.bool_)
    trained = int(TRAINING_SHARE * n)
    stretches = [(trained + _REST, n)] * int(rng.integers(1, 5))
    if rng.random() < 1 / 6:
        stretches.append((_REST, trained - _REST))
    for begin, end in stretches:
        size = fault_windows(fault, rng)
        first = _place(labels, begin, end - size, size, rng)
        if first is not None:
            values[first : first + size] = faulty(fault, healthy, first, size, rng)
            labels[first : first + size] = True
    kept = np.ones(n, np.bool_)
    if rng.random() < 1 / 5:
        for _ in range(int(rng.integers(1, 4))):
            first = int(rng.integers(1, n - 60))
            kept[first : first + int(rng.integers(5, 60))] = False
        kept |= labels
    return LabelledSeries(f"{fault} in {behaviour} {repeat}", times[kept], values[kept], labels[kept])


def _place(labels: npt.NDArray[np.bool_], begin: int, end: int, size: int, rng: np.random.Generator) -> int | None:
    """Return a random start in ``[begin, end)`` at some distance from other faults; None if none is found."""
    for _ in range(_PLACING_TRIES):
        first = int(rng.integers(begin, end))
        if not labels[max(first - _REST, 0) : first + size + _REST].any():
            return first
    return None
