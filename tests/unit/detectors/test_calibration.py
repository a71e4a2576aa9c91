from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from every_case import check_every
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, genpareto, gumbel_r

from sensorwatch.detectors.base import calibration_of as detectors_calibration
from sensorwatch.detectors.calibration import SCORE_SEVERITIES, Calibration, calibrate, severity_codes
from sensorwatch.detectors.factory import detectors
from sensorwatch.detectors.windowing.series import Series

if TYPE_CHECKING:
    import pyarrow as pa

finite = st.floats(-1e6, 1e6, allow_nan=False)
training = st.lists(finite, min_size=1, max_size=50).map(np.array)


def calibration_of(scores: np.ndarray, threshold: float | None) -> Calibration:
    return calibrate(scores, np.array([0, len(scores)]), threshold)


def score(calibration: Calibration, raw: np.ndarray) -> np.ndarray:
    return calibration.scores(np.zeros(len(raw), np.int64), raw)


@given(training, finite, st.lists(finite, min_size=2).map(sorted).map(np.array))
def test_a_higher_raw_score_never_has_a_lower_score(scores: np.ndarray, threshold: float, raw: np.ndarray) -> None:
    assert (np.diff(score(calibration_of(scores, threshold), raw)) >= -1e-9).all()


@given(training, finite, st.lists(finite, min_size=1).map(np.array))
def test_fifty_and_more_is_anomalous_and_nothing_else(scores: np.ndarray, threshold: float, raw: np.ndarray) -> None:
    calibration = calibration_of(scores, threshold)
    result = score(calibration, raw)
    anomalous = calibration.anomalous(np.zeros(len(raw), np.int64), raw)
    np.testing.assert_array_equal(result >= 50, anomalous)
    np.testing.assert_array_equal(severity_codes(result) > 0, anomalous)
    assert ((result >= 0) & (result <= 100)).all()


@given(training, st.lists(finite, min_size=1).map(np.array))
def test_without_a_boundary_fifty_is_one_in_a_thousand(scores: np.ndarray, raw: np.ndarray) -> None:
    calibration = calibration_of(scores, None)
    every = np.zeros(len(raw), np.int64)
    np.testing.assert_array_equal(calibration.scores(every, raw) >= 50, calibration.rarity(every, raw) >= 3)
    np.testing.assert_array_equal(calibration.anomalous(every, raw), calibration.rarity(every, raw) >= 3)


@given(training, finite)
def test_the_median_of_training_scores_zero_when_it_is_normal(scores: np.ndarray, threshold: float) -> None:
    median = np.median(scores)
    if median <= threshold:
        assert score(calibration_of(scores, threshold), np.array([median]))[0] == 0


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-100, 100))
def test_unit_and_origin_of_raw_scores_do_not_matter(seed: int, unit: float, origin: float) -> None:
    scores = np.random.default_rng(seed).gumbel(size=200)
    raw = np.linspace(-3, 30, 100)
    usual, moved = calibration_of(scores, None), calibration_of(origin + unit * scores, None)
    np.testing.assert_allclose(score(moved, origin + unit * raw), score(usual, raw), atol=1e-3)


@given(st.lists(training, min_size=1, max_size=5), finite)
def test_sensors_do_not_influence_each_other(sensors: list[np.ndarray], threshold: float) -> None:
    offsets = np.concatenate(([0], np.cumsum([len(scores) for scores in sensors])))
    together = calibrate(np.concatenate(sensors), offsets, threshold)
    for i, scores in enumerate(sensors):
        alone = calibration_of(scores, threshold)
        for name in Calibration.columns:
            np.testing.assert_allclose(getattr(alone, name)[0], getattr(together, name)[i], rtol=1e-9)


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.4])
def test_the_tail_is_the_one_that_maximum_likelihood_finds(shape: float) -> None:
    values = genpareto.rvs(shape, scale=2.0, size=200_000, random_state=np.random.default_rng(3))
    found = calibration_of(values, None)
    likeliest, _, scale = genpareto.fit(values[values > found.level[0]] - found.level[0], floc=0)
    assert found.shape[0] == pytest.approx(likeliest, abs=0.05)
    assert found.scale[0] == pytest.approx(scale, rel=0.05)
    assert found.threshold[0] == pytest.approx(genpareto.isf(1e-3, shape, scale=2.0), rel=0.05)
    rare = genpareto.isf(np.array([1e-4, 1e-5]), shape, scale=2.0)
    assert found.rarity(np.zeros(2, np.int64), rare) == pytest.approx([4, 5], rel=0.06)


@pytest.mark.parametrize("n", [100, 300, 720, 5000])
def test_one_normal_window_in_a_thousand_is_anomalous(n: int) -> None:
    sensors = 400
    random = np.random.default_rng(n)
    cases = ((random.standard_normal((sensors, n)) ** 2, chi2(1).sf), (random.gumbel(size=(sensors, n)), gumbel_r.sf))
    for raw, survival in cases:
        found = calibrate(raw.ravel(), np.arange(sensors + 1) * n, None)
        assert 0.0005 < np.median(survival(found.threshold)) < 0.002
        assert 0.0005 < survival(found.threshold).mean() < 0.0035


def test_the_tail_of_bounded_scores_is_never_heavier_than_exponential() -> None:
    found = calibration_of(np.random.default_rng(1).uniform(size=20_000), None)
    assert found.shape[0] == 0
    assert found.scale[0] == pytest.approx(0.01, rel=0.1)


def test_a_sensor_that_shows_no_tail_finds_all_that_is_new_critical() -> None:
    for scores in (np.full(300, 2.5), np.repeat([1.0, 2.0], 150)):
        found = calibration_of(scores, None)
        assert score(found, np.array([scores.max()]))[0] < 50
        assert score(found, np.array([scores.max() + 1.0]))[0] == 100


def test_a_sensor_without_scores_has_no_calibration() -> None:
    calibration = calibrate(np.array([np.nan, np.nan]), np.array([0, 2, 2]), 0.0)
    assert np.isnan(calibration.center).all()
    assert np.isnan(calibration.scores(np.array([0, 1]), np.array([5.0, 5.0]))).all()
    assert not calibration.anomalous(np.array([0, 1]), np.array([5.0, 5.0])).any()


def test_a_raw_score_that_is_not_a_number_has_no_score() -> None:
    calibration = calibration_of(np.array([-1.0, -2.0]), 0.0)
    assert np.isnan(score(calibration, np.array([np.nan])))[0]
    assert not calibration.anomalous(np.array([0]), np.array([np.nan]))[0]


def test_an_infinite_raw_score_is_the_highest() -> None:
    assert score(calibration_of(np.array([-1.0, -2.0]), 0.0), np.array([np.inf]))[0] == 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "normal"), (49.999, "normal"), (50.0, "low"), (65.0, "medium"), (80.0, "high"), (95.0, "critical")],
)
def test_each_severity_begins_where_the_last_ends(value: float, expected: str) -> None:
    assert SCORE_SEVERITIES[severity_codes(np.array([value]))[0]] == expected


# What these look for lasts some windows: the level, and the variation, of the last few.
LASTING = {"shift": np.ones(24), "variation": np.where(np.arange(24) % 2, 1.0, -1.0)}


@cache
def trained(name: str, kind: str, n: int) -> tuple[np.ndarray, pa.StructArray, Calibration]:
    """Return the values that a model was trained with, the model, and its calibration."""
    random = np.random.default_rng(n)
    values = random.normal(20, 3, n) if kind == "normal" else random.uniform(-1, 1, n)
    detector = detectors()[name]
    # For the detectors that learn from labels: the lowest and the highest values are anomalous.
    labels = (np.abs(values - values.mean()) > 1.5 * values.std()).astype(np.int8)
    series = Series(np.array([0, n]), np.arange(n, dtype=np.int64), values, labels)
    params = detector.fit(series).params
    return values, params, detectors_calibration(detector, detector.score(params, series), series.offsets)


def severities_of(name: str, kind: str, n: int, fault: np.ndarray) -> set[str]:
    """Return the severities of a fault (in standard deviations) after training and more windows of the same kind."""
    values, params, calibration = trained(name, kind, n)
    after = np.concatenate((values[:200], values.mean() + values.std() * fault))
    times = np.arange(n, n + len(after), dtype=np.int64)
    raw = detectors()[name].score(params, Series(np.array([0, len(after)]), times, after))[-len(fault) :]
    return {SCORE_SEVERITIES[code] for code in severity_codes(score(calibration, raw))}


@pytest.mark.parametrize("name", sorted(detectors().keys() - LASTING.keys()))
def test_a_spike_of_ten_standard_deviations_is_high_or_critical(name: str) -> None:
    # How far beyond its labels a value lies means little to a classifier: only that it lies there.
    expected = {"low", "medium", "high", "critical"} if name == "mlp" else {"high", "critical"}

    def check(case: tuple[float, str, int]) -> None:
        spike, kind, n = case
        assert severities_of(name, kind, n, np.array([spike])) <= expected

    # A pattern of 96 windows cannot be learnt from 100.
    lengths = (720, 4_000) if name == "kmeans" else (100, 720, 4_000)
    check_every(product((-10.0, 10.0), ("normal", "uniform"), lengths), check)


@pytest.mark.parametrize("name", sorted(LASTING))
def test_a_fault_that_lasts_is_high_or_critical(name: str) -> None:
    def check(case: tuple[str, int]) -> None:
        assert severities_of(name, *case, 10 * LASTING[name]) & {"high", "critical"}

    check_every(product(("normal", "uniform"), (100, 720, 4_000)), check)
