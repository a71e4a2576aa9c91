"""Synthetic anomalies in series with values of any size."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from every_case import check_every

from sensorwatch.detectors.ensembles.synthetic_anomalies import MIN_WINDOWS, add_synthetic_anomalies
from sensorwatch.detectors.windowing.series import Series

LARGEST = float(np.finfo(np.float64).max)


def series_of(*sensors: np.ndarray) -> Series:
    lengths = [len(values) for values in sensors]
    times = np.concatenate([5 * np.arange(length, dtype=np.int64) for length in lengths])
    return Series(np.cumsum([0, *lengths]), times, np.concatenate(sensors))


@pytest.mark.filterwarnings("error")
def test_anomalies_of_huge_values_are_finite() -> None:
    huge = [
        np.random.default_rng(1).uniform(-1.0, 1.0, 300) * LARGEST,
        np.tile([LARGEST, -LARGEST], 150),
        np.full(300, LARGEST),
        np.full(MIN_WINDOWS, -LARGEST / 4),
        1e200 * np.random.default_rng(2).standard_normal(300),
        np.where(np.arange(300) == 100, LARGEST, 1e-310 * np.arange(300)),
    ]

    def check(case: tuple[np.ndarray, int]) -> None:
        values, draw = case
        changed, labels = add_synthetic_anomalies(series_of(values), draw)
        assert np.isfinite(changed.values).all()
        assert 0 < labels.sum() < len(values)
        np.testing.assert_array_equal(changed.values[~labels], values[~labels])
        assert (changed.values[labels] != values[labels]).any()

    check_every(product(huge, range(5)), check)


@pytest.mark.parametrize("exponent", [-300, -1, 100, 600, 1000])
def test_anomalies_grow_with_the_values(exponent: int) -> None:
    values = 20.0 + 3.0 * np.random.default_rng(3).standard_normal(500)
    changed, labels = add_synthetic_anomalies(series_of(values), 0)
    larger, same_labels = add_synthetic_anomalies(series_of(np.ldexp(values, exponent)), 0)
    np.testing.assert_array_equal(same_labels, labels)
    np.testing.assert_array_equal(larger.values, np.ldexp(changed.values, exponent))


def test_a_sensor_of_huge_values_leaves_its_neighbours_alone() -> None:
    values = 20.0 + 3.0 * np.random.default_rng(4).standard_normal(400)
    alone, _ = add_synthetic_anomalies(series_of(values), 1)
    beside, _ = add_synthetic_anomalies(series_of(np.full(200, LARGEST), values), 1)
    np.testing.assert_array_equal(beside.values[200:], alone.values)
