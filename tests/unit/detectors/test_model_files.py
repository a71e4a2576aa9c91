from __future__ import annotations

import sys
from itertools import product
from typing import Any

import numpy as np
import pytest
from every_case import check_every
from sklearn.covariance import EllipticEnvelope

from sensorwatch.config.detectors import EstimatorPolicy
from sensorwatch.detectors.external.export import support_vectors_as_estimator, support_vectors_as_onnx
from sensorwatch.detectors.external.onnx_model import OnnxModel, OnnxSession, packed_onnx
from sensorwatch.detectors.external.stored import estimator_from_bytes, estimator_to_bytes
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import InvalidInputError, SettingsError

_random = np.random.default_rng(11)
SENSORS = {
    "noise": 20 + _random.normal(size=300),
    "heavy-tailed": 50 * _random.standard_t(2, size=2000),
    "integers": _random.integers(0, 5, 300).astype(np.float64),
    "two values": np.array([0.0, 1.0] * 150),
    "large": 1e12 + 1e9 * _random.normal(size=300),
    "small": 1e-12 * _random.normal(size=300),
    "constant": np.full(300, 21.3),
    "negative constant": np.full(300, -7.0),
    "zero": np.zeros(300),
    "averaged constant": np.array([0.1 + 0.2, 0.3] * 150),
}


def series_of(values: np.ndarray) -> Series:
    return Series(np.array([0, len(values)]), np.arange(len(values)), values)


def grid(values: np.ndarray) -> np.ndarray:
    """Return values around and far beyond a sensor's, and those next to its first one."""
    reach = 3 * float(np.ptp(values)) + 1
    first = float(values[0])
    near = [first, first * (1 + 1e-15), first * (1 - 1e-11), np.nextafter(first, np.inf), 0.0, 1e-300, -1e-300]
    return np.unique(np.concatenate((np.linspace(values.min() - reach, values.max() + reach, 1001), values, near)))


EXPORTED = list(product(sorted(SENSORS), ("ocsvm", "ocsvm_sklearn")))


def trained(sensor: str, name: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Return a model, points around its sensor's values, and their raw scores."""
    params = detector(name).fit(series_of(SENSORS[sensor])).params
    points = grid(SENSORS[sensor])
    return params[0].as_py(), points, detector(name).score(params, series_of(points))


def test_a_model_exported_to_scikit_learn_scores_the_same() -> None:
    def check(case: tuple[str, str]) -> None:
        model, points, raw = trained(*case)
        exported = estimator_to_bytes(support_vectors_as_estimator(model))
        decision = estimator_from_bytes(exported, EstimatorPolicy(trusted_types=())).decision_function(points[:, None])
        np.testing.assert_allclose(decision, -raw, rtol=0, atol=1e-9)

    check_every(EXPORTED, check)


def test_a_model_exported_to_onnx_scores_the_same() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")

    def check(case: tuple[str, str]) -> None:
        model, points, raw = trained(*case)
        np.testing.assert_allclose(
            OnnxSession(support_vectors_as_onnx(model)).raw_scores(points), raw, rtol=0, atol=1e-9
        )

    check_every(EXPORTED, check)


def test_an_onnx_model_is_scored_for_its_own_sensor_and_a_damaged_one_for_none() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    import pyarrow as pa

    params = detector("ocsvm").fit(series_of(SENSORS["noise"])).params
    content = support_vectors_as_onnx(params[0].as_py())
    both = pa.concat_arrays([packed_onnx("{}", content[:-40]), packed_onnx("{}", content)])
    values = np.array([20.0, 99.0, np.nan, np.inf])
    series = Series(np.array([0, 4, 8]), np.arange(8), np.tile(values, 2))
    raw = detector("onnx").score(both, series)
    assert np.isnan(raw[:4]).all()
    assert (raw[4:6] > OnnxModel.threshold).tolist() == [False, True]
    assert np.isnan(raw[6])
    assert raw[7] == np.inf


def test_onnx_models_are_not_trained_here() -> None:
    fitted = OnnxModel().fit(series_of(SENSORS["noise"]))
    assert fitted.params.is_valid().to_pylist() == [False]
    assert "sensorwatch models import" in str(fitted.reasons[0])


def test_bytes_that_are_no_onnx_model_are_refused() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(InvalidInputError, match="expected an ONNX model, got 4 bytes"):
        OnnxSession(b"nope")


def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match=r"onnxruntime is not installed; .*requirements-onnx\.txt"):
        OnnxSession(b"")
    with pytest.raises(SettingsError, match="onnx is not installed"):
        support_vectors_as_onnx({"scale": 0.0, "mean": 1.0})


def test_another_estimator_goes_through_bytes_as_it_is() -> None:
    values = SENSORS["noise"].reshape(-1, 1)
    fitted = EllipticEnvelope(random_state=0).fit(values)
    again = estimator_from_bytes(estimator_to_bytes(fitted), EstimatorPolicy())
    np.testing.assert_array_equal(again.decision_function(values), fitted.decision_function(values))
