"""Calibrations of training windows with and without a fault."""

from __future__ import annotations

import numpy as np
import pytest

from sensorwatch.detectors.calibration import calibrate
from sensorwatch.detectors.ensembles.robust_calibration import robust_calibration
from sensorwatch.detectors.windowing.series import Series

N, NEWEST = 720, 288


def scores(sensors: int = 1) -> np.ndarray:
    return np.abs(np.random.default_rng(4).normal(size=(sensors, N)))


def cleaned(raw: np.ndarray, n: int = N, newest: int = NEWEST) -> np.ndarray:
    sensors = len(raw)
    series = Series(np.arange(sensors + 1) * n, np.tile(np.arange(n), sensors), np.zeros(sensors * n))
    part = np.tile(np.arange(n) >= n - newest, sensors)
    return robust_calibration(raw.ravel(), series, part).threshold


def plain(raw: np.ndarray) -> np.ndarray:
    return calibrate(raw.ravel(), np.arange(len(raw) + 1) * raw.shape[1], None).threshold


@pytest.mark.parametrize("first", [100, 550])
def test_a_fault_in_training_does_not_make_the_next_one_normal(first: int) -> None:
    raw = scores()
    healthy = plain(raw)
    raw[0, first : first + 20] += 50.0
    assert plain(raw)[0] > 5 * healthy[0]
    assert cleaned(raw) == pytest.approx(healthy, rel=0.5)


def test_a_sensor_without_a_fault_is_calibrated_on_all_windows() -> None:
    raw = scores(3)
    np.testing.assert_array_equal(cleaned(raw), plain(raw))


def test_a_sensor_that_drifts_away_is_calibrated_on_all_windows() -> None:
    raw = scores()
    raw[0, 400:] += np.linspace(0, 40, 320)
    np.testing.assert_array_equal(cleaned(raw), plain(raw))


def test_few_windows_are_calibrated_all_together() -> None:
    raw = scores()[:, :150]
    raw[0, 20:24] += 50.0
    np.testing.assert_array_equal(cleaned(raw, 150, 60), plain(raw))


def test_a_sensor_does_not_depend_on_its_neighbours() -> None:
    raw = scores(3)
    raw[1, 100:120] += 50.0
    together = cleaned(raw)
    np.testing.assert_array_equal(together, np.concatenate([cleaned(raw[i : i + 1]) for i in range(3)]))
