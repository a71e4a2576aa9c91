"""``ocsvm`` and ``ocsvm_sklearn`` against scikit-learn, on 2,000 synthetic sensors and the recorded ones."""

from __future__ import annotations

import numpy as np
import pytest
from one_class_svm_fleet import KINDS, REAL, grid, real_sensors, reference, score_of, synthetic_sensor

from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.svm import active_set


def assert_exact(values: np.ndarray) -> None:
    points = grid(values)
    raw = score_of("ocsvm", values, points)
    decision, labels = reference(values, points, 1e-9)
    np.testing.assert_allclose(raw, -decision, rtol=0, atol=1e-6)
    # Where scikit-learn itself is within its tolerance of the boundary its label is a matter of rounding.
    clear = np.abs(decision) > 1e-6
    np.testing.assert_array_equal((raw > detector("ocsvm").threshold)[clear], (labels < 0)[clear])


def assert_label_for_label(values: np.ndarray) -> None:
    points = grid(values)
    raw = score_of("ocsvm_sklearn", values, points)
    decision, labels = reference(values, points, 1e-3)
    clear = np.abs(decision) > 1e-9
    np.testing.assert_array_equal((raw > detector("ocsvm_sklearn").threshold)[clear], (labels < 0)[clear])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "constant"])
def test_two_hundred_synthetic_sensors_of_a_kind_are_as_in_scikit_learn(kind: str) -> None:
    for seed in range(KINDS.index(kind), 200 * len(KINDS), len(KINDS)):
        values = synthetic_sensor(seed)
        try:
            assert_exact(values)
            assert_label_for_label(values)
        except AssertionError as exc:
            raise AssertionError(f"sensor {seed}: {exc}") from exc


@pytest.mark.parametrize("name", ["ocsvm", "ocsvm_sklearn"])
def test_two_hundred_constant_sensors_are_distinguished_by_their_value(name: str) -> None:
    """Scikit-learn flags every point of them; here the one value is normal and nothing else is."""
    for seed in range(KINDS.index("constant"), 200 * len(KINDS), len(KINDS)):
        values = synthetic_sensor(seed)
        raw = score_of(name, values, np.array([values[0], values[0] * (1 + 1e-9), values[0] - 1.0]))
        assert (raw > detector(name).threshold).tolist() == [False, True, True]


def test_the_certified_solver_needs_no_other() -> None:
    sensors = [synthetic_sensor(seed) for seed in range(1, 2_000)]
    standardised = [(values - values.mean()) / values.std() for values in sensors if np.ptp(values) > 1e-9]
    wide = np.array([values for values in standardised if np.ptp(values) > 15.6])
    found = active_set.solve(wide, 0.01)
    assert len(wide) > 300
    assert found.certified.all()
    np.testing.assert_allclose(found.beta.sum(axis=1), 1.0, rtol=1e-12)
    assert (found.beta >= 0).all()


@pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL}; SENSORWATCH_TEST_DATA names its folder")
def test_the_recorded_sensors_are_as_in_scikit_learn() -> None:
    sensors = real_sensors()
    assert len(sensors) == 15
    for values in sensors:
        if np.ptp(values) <= 1e-12 * np.abs(values).max():
            continue
        assert_exact(values[-720:])
        assert_label_for_label(values[-720:])
