from __future__ import annotations

import io
import json
import logging
import zipfile
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from sensorwatch.config.detectors import EstimatorPolicy, canonical_json
from sensorwatch.detectors.external.sklearn_estimator import Estimator, packed
from sensorwatch.detectors.external.stored import estimator_from_bytes, estimator_to_bytes
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import InvalidInputError

POLICY = EstimatorPolicy()
NOISE = np.random.default_rng(3).normal(20, 2, 200)


def series_of(*sensors: np.ndarray) -> Series:
    lengths = [len(sensor) for sensor in sensors]
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return Series(offsets, np.arange(offsets[-1], dtype=np.int64), np.concatenate(sensors).astype(np.float64))


def specification(*steps: tuple[str, dict[str, Any]]) -> str:
    return canonical_json({"steps": [{"estimator": f"sklearn.{path}", "parameters": given} for path, given in steps]})


FOREST = specification(("ensemble.IsolationForest", {"n_estimators": 10}))
PIPELINE = specification(("preprocessing.StandardScaler", {}), ("svm.OneClassSVM", {"nu": 0.01}))
DENSITY = specification(("neighbors.KernelDensity", {"bandwidth": 0.5}))
NEIGHBOURS = specification(("neighbors.LocalOutlierFactor", {"novelty": True}))
MIXTURE = specification(("mixture.GaussianMixture", {"n_components": 2}))


def test_scores_are_scikit_learns_own_negated() -> None:
    for chosen, estimator in (
        (FOREST, IsolationForest(n_estimators=10, random_state=0)),
        (PIPELINE, make_pipeline(StandardScaler(), OneClassSVM(nu=0.01))),
    ):
        ours = detector("sklearn", chosen)
        grid = np.linspace(0, 40, 101)
        raw = ours.score(ours.fit(series_of(NOISE)).params, series_of(grid))
        expected = estimator.fit(NOISE.reshape(-1, 1)).decision_function(grid.reshape(-1, 1))
        np.testing.assert_allclose(raw, -expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("chosen", [FOREST, PIPELINE, DENSITY, NEIGHBOURS, MIXTURE])
def test_any_outlier_detector_tells_far_from_near_and_repeats(chosen: str) -> None:
    ours = detector("sklearn", chosen)
    fitted = ours.fit(series_of(NOISE, NOISE + 5))
    assert fitted.reasons == (None, None)
    assert fitted.params.equals(ours.fit(series_of(NOISE, NOISE + 5)).params)
    raw = ours.score(fitted.params, series_of(np.array([20.0, 60.0]), np.array([25.0, 60.0])))
    assert (raw > Estimator.threshold).tolist() == [False, True, False, True]


def test_a_density_finds_its_own_training_data_normal() -> None:
    ours = detector("sklearn", DENSITY)
    fitted = ours.fit(series_of(NOISE))
    assert (ours.score(fitted.params, series_of(NOISE)) <= Estimator.threshold).all()


def test_the_parameters_say_what_was_asked_for() -> None:
    assert detector("sklearn", FOREST).fit(series_of(NOISE)).params.field("specification").to_pylist() == [FOREST]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (specification(("nonsense.Forest", {})), "the estimator sklearn.nonsense.Forest does not exist"),
        (specification(("svm.Nonsense", {})), "the estimator sklearn.svm.Nonsense does not exist"),
        (specification(("svm.OneClassSVM", {"v": 1})), r"rejects its parameters .*unexpected keyword argument 'v'"),
        (specification(("svm.OneClassSVM", {"nu": 7})), "InvalidParameterError: The 'nu' parameter"),
        (specification(("base.clone", {})), "is not an estimator"),
        (specification(("preprocessing.StandardScaler", {})), "neither decision_function nor score_samples"),
        (canonical_json({"steps": [{"estimator": "os.system", "parameters": {}}]}), "is not in an allowed module"),
        (specification(("svm.SVC", {})), "SVC: TypeError"),
    ],
)
def test_an_estimator_that_does_not_work_is_a_reason_for_its_sensor(chosen: str, message: str) -> None:
    (reason,) = detector("sklearn", chosen).fit(series_of(NOISE)).reasons
    assert reason is not None
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(reason)


def test_types_that_are_not_trusted_are_not_stored() -> None:
    fitted = detector("sklearn", FOREST, EstimatorPolicy(trusted_types=())).fit(series_of(NOISE))
    assert "not trusted: sklearn.tree._tree.Tree" in str(fitted.reasons[0])


def test_a_stored_estimator_with_types_that_are_not_trusted_is_not_loaded(caplog: pytest.LogCaptureFixture) -> None:
    params = detector("sklearn", FOREST).fit(series_of(NOISE, NOISE)).params
    strict = detector("sklearn", policy=EstimatorPolicy(trusted_types=()))
    with caplog.at_level(logging.ERROR):
        assert np.isnan(strict.score(params, series_of(NOISE, NOISE))).all()
    assert "estimators.trusted_types" in caplog.text


def test_a_file_that_names_a_function_is_refused() -> None:
    content = estimator_to_bytes(OneClassSVM().fit(NOISE.reshape(-1, 1)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files["schema.json"])
    schema |= {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode"}
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in (files | {"schema.json": json.dumps(schema).encode()}).items():
            archive.writestr(name, data)
    with pytest.raises(InvalidInputError, match=r"os\.system"):
        estimator_from_bytes(sink.getvalue(), POLICY)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x04K\x01.", b"x" * 1000])
def test_bytes_that_are_no_skops_file_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidInputError, match="expected a skops file"):
        estimator_from_bytes(content, POLICY)


def test_a_damaged_estimator_leaves_the_others_scores(caplog: pytest.LogCaptureFixture) -> None:
    ours = detector("sklearn")
    good = ours.fit(series_of(NOISE)).params
    import pyarrow as pa

    both = pa.concat_arrays([packed("{}", good.field("model")[0].as_py()[:-100]), good])
    raw = ours.score(both, series_of(NOISE, NOISE))
    assert np.isnan(raw[:200]).all()
    np.testing.assert_array_equal(raw[200:], ours.score(good, series_of(NOISE)))


def test_equal_estimators_are_equal_bytes_and_small() -> None:
    made = [make_pipeline(StandardScaler(), OneClassSVM(nu=0.01)).fit(NOISE.reshape(-1, 1)) for _ in range(2)]
    first, second = (estimator_to_bytes(each) for each in made)
    assert first == second
    assert len(first) < 12_000


def test_a_detector_without_parameters_refuses_them() -> None:
    with pytest.raises(InvalidInputError, match="takes no parameters"):
        detector("ocsvm", FOREST)
