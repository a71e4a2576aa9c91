from __future__ import annotations

import subprocess
import sys
import warnings
from itertools import product

import numpy as np
import pytest
from every_case import check_every
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.svm.one_class_svm import OneClassSvm
from sensorwatch.detectors.windowing.series import Series


def one(values: np.ndarray) -> Series:
    return Series(np.array([0, len(values)]), np.arange(len(values), dtype=np.int64) * 5, values)


def sensor(kind: str, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    n = 720
    match kind:
        case "normal":
            return random.normal(20, 3, n)
        case "uniform":
            return random.uniform(-1, 1, n)
        case "heavy-tailed":
            return random.standard_t(2, n)
        case "integers":
            return random.integers(0, 4, n).astype(np.float64)
        case "spiky":
            values = random.normal(20, 1, n)
            values[random.integers(0, n, 3)] += random.normal(0, 40, 3)
            return values
        case "steps":
            return np.repeat(random.normal(0, 10, 6), n // 6) + random.normal(0, 0.1, n)
        case "large":
            return 1e9 * random.normal(5, 1, n)
        case "small":
            return 1e-9 * random.normal(5, 1, n)
    raise AssertionError(kind)


KINDS = ["normal", "uniform", "heavy-tailed", "integers", "spiky", "steps", "large", "small"]


def grid(values: np.ndarray) -> np.ndarray:
    """Return values well inside, at and well outside the training range."""
    reach = 5 * values.std()
    return np.concatenate((np.linspace(values.min() - reach, values.max() + reach, 2001), values))


def reference(values: np.ndarray, points: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's decision values and labels."""
    scaler = StandardScaler().fit(values[:, None])
    svm = OneClassSVM(nu=0.0001, kernel="rbf", gamma=0.01, tol=tolerance).fit(scaler.transform(values[:, None]))
    scaled = scaler.transform(points[:, None])
    return svm.decision_function(scaled), svm.predict(scaled)


def assert_as_scikit_learn(name: str, *, fit_tolerance: float, atol: float, clear_of_threshold: float) -> None:
    """Compare decision values and labels of every kind of sensor with scikit-learn's at this tolerance."""

    def check(case: tuple[str, int]) -> None:
        values = sensor(*case)
        points = grid(values)
        decision, labels = reference(values, points, fit_tolerance)
        ocsvm = detector(name)
        raw = ocsvm.score(ocsvm.fit(one(values)).params, one(points))
        np.testing.assert_allclose(raw, -decision, rtol=0, atol=atol)
        clear = np.abs(decision) > clear_of_threshold
        assert clear.any()
        np.testing.assert_array_equal((raw > OneClassSvm.threshold)[clear], (labels < 0)[clear])

    check_every(product(KINDS, range(3)), check)


def test_ocsvm_is_the_exact_optimum() -> None:
    assert_as_scikit_learn("ocsvm", fit_tolerance=1e-9, atol=1e-6, clear_of_threshold=1e-6)


def test_ocsvm_sklearn_is_scikit_learn_label_for_label() -> None:
    assert_as_scikit_learn("ocsvm_sklearn", fit_tolerance=1e-3, atol=1e-12, clear_of_threshold=1e-9)


@pytest.mark.parametrize("width", [15.0, 15.59, 15.61, 16.0, 20.0])
def test_the_closed_form_ends_where_it_must(width: float) -> None:
    # One value far out sets the width; the others make up the rest of a standard deviation.
    rest = np.random.default_rng(3).uniform(-1, 1, 719)
    low, high = 1.0, 1e6
    for _ in range(60):
        spike = np.sqrt(low * high)
        values = np.append(rest, spike)
        if np.ptp(values) / values.std() < width:
            low = spike
        else:
            high = spike
    assert np.ptp(values) / values.std() == pytest.approx(width, rel=1e-6)
    points = grid(values)
    decision, _ = reference(values, points, 1e-9)
    ocsvm = detector("ocsvm")
    raw = ocsvm.score(ocsvm.fit(one(values)).params, one(points))
    np.testing.assert_allclose(raw, -decision, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n", [9_999, 17_280, 21_000])
def test_long_training_ranges_have_the_exact_optimum_too(n: int) -> None:
    values = np.random.default_rng(5).normal(20, 3, n)
    points = np.linspace(values.min() - 10, values.max() + 10, 501)
    decision, _ = reference(values, points, 1e-9)
    ocsvm = detector("ocsvm")
    raw = ocsvm.score(ocsvm.fit(one(values)).params, one(points))
    np.testing.assert_allclose(raw, -decision, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_no_training_value_is_an_anomaly_of_ocsvm(kind: str) -> None:
    values = sensor(kind, 11)
    ocsvm = detector("ocsvm")
    raw = ocsvm.score(ocsvm.fit(one(values)).params, one(values))
    assert (raw <= OneClassSvm.threshold).all()


def test_the_normal_range_of_ocsvm_is_the_training_range() -> None:
    values = sensor("normal", 1)
    ocsvm = detector("ocsvm")
    (low,), (high,) = ocsvm.expected_range(ocsvm.fit(one(values)).params)
    assert (low, high) == (pytest.approx(values.min(), rel=1e-12), pytest.approx(values.max(), rel=1e-12))


@pytest.mark.parametrize("name", ["ocsvm", "ocsvm_sklearn"])
@pytest.mark.parametrize("constant", [21.3, 0.0, -1e12, 0.1 + 0.2])
def test_to_a_constant_sensor_its_value_is_normal_and_nothing_else(name: str, constant: float) -> None:
    ocsvm = detector(name)
    params = ocsvm.fit(one(np.full(300, constant))).params
    other = constant * (1 + 1e-9) if constant else 1e-9
    raw = ocsvm.score(params, one(np.array([constant, np.nextafter(constant, 1e13) if constant else 0.0, other])))
    assert (raw > OneClassSvm.threshold).tolist() == [False, False, True]
    assert ocsvm.expected_range(params)[0][0] == pytest.approx(constant)


def test_scikit_learn_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("ocsvm", "ocsvm_sklearn"):
            for kind in KINDS:
                values = one(sensor(kind, 2))
                detector(name).score(detector(name).fit(values).params, values)


def test_scoring_and_the_closed_form_do_without_scikit_learn() -> None:
    code = """
import sys
import numpy as np
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series
series = Series(np.array([0, 200]), np.arange(200), np.random.default_rng(1).normal(size=200))
ocsvm = detector("ocsvm")
ocsvm.score(ocsvm.fit(series).params, series)
assert "sklearn" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
