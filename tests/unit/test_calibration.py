from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.calibration import SEVERITIES, Calibration, calibrate, severity_codes
from sensorwatch.detectors import Series, detectors

finite = st.floats(-1e6, 1e6, allow_nan=False)
training = st.lists(finite, min_size=1, max_size=50).map(np.array)


def calibration_of(scores: np.ndarray, threshold: float) -> Calibration:
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


@given(training, finite)
def test_the_median_of_training_scores_zero_when_it_is_normal(scores: np.ndarray, threshold: float) -> None:
    median = np.median(scores)
    if median <= threshold:
        assert score(calibration_of(scores, threshold), np.array([median]))[0] == 0


@given(training, finite, st.floats(0.01, 100), st.lists(finite, min_size=1).map(np.array))
def test_the_unit_of_raw_scores_does_not_matter(
    scores: np.ndarray, threshold: float, unit: float, raw: np.ndarray
) -> None:
    calibration = calibration_of(scores, threshold)
    scaled = calibration_of(scores * unit, threshold * unit)
    if min(calibration.spread[0], scaled.spread[0]) < 1e-3:
        return
    clear = np.abs(raw - threshold) > 1e-6
    np.testing.assert_allclose(score(scaled, raw * unit)[clear], score(calibration, raw)[clear], atol=1e-3)


@given(st.lists(training, min_size=1, max_size=5), finite)
def test_sensors_do_not_influence_each_other(sensors: list[np.ndarray], threshold: float) -> None:
    offsets = np.concatenate(([0], np.cumsum([len(scores) for scores in sensors])))
    together = calibrate(np.concatenate(sensors), offsets, threshold)
    for i, scores in enumerate(sensors):
        alone = calibration_of(scores, threshold)
        assert (alone.center[0], alone.spread[0]) == (together.center[i], together.spread[i])


def test_a_sensor_without_scores_has_no_calibration() -> None:
    calibration = calibrate(np.array([np.nan, np.nan]), np.array([0, 2, 2]), 0.0)
    assert np.isnan(calibration.center).all()
    assert np.isnan(calibration.scores(np.array([0, 1]), np.array([5.0, 5.0]))).all()
    assert not calibration.anomalous(np.array([0, 1]), np.array([5.0, 5.0])).any()


def test_a_raw_score_that_is_no_number_has_no_score() -> None:
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
    assert SEVERITIES[severity_codes(np.array([value]))[0]] == expected


@pytest.mark.parametrize("n", [100, 720, 17_280])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("name", sorted(detectors()))
def test_a_spike_of_ten_standard_deviations_is_high_or_critical(name: str, kind: str, n: int) -> None:
    random = np.random.default_rng(n)
    values = random.normal(20, 3, n) if kind == "normal" else random.uniform(-1, 1, n)
    detector = detectors()[name]
    series = Series(np.array([0, n]), np.arange(n, dtype=np.int64), values)
    params = detector.fit(series).params
    calibration = calibrate(detector.score(params, series), series.offsets, detector.threshold)
    spikes = values.mean() + values.std() * np.array([-10.0, 10.0])
    raw = detector.score(params, Series(np.array([0, 2]), np.array([0, 5]), spikes))
    assert {SEVERITIES[code] for code in severity_codes(score(calibration, raw))} <= {"high", "critical"}
