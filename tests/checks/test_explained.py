"""Checks of every detector's explanations, and of the way that scoring passes them on."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from sensorwatch.detectors.base import Detector, NearestPatterns, calibration_of
from sensorwatch.detectors.calibration import ANOMALOUS_RARITY
from sensorwatch.detectors.ensembles.composite import CompositeDetector
from sensorwatch.detectors.ensembles.ensemble import Ensemble
from sensorwatch.detectors.explaining import MAX_LEVELS, explain
from sensorwatch.detectors.explanation import explanation_json, parse_explanation
from sensorwatch.detectors.factory import detector, detectors
from sensorwatch.detectors.kmeans import KMeans
from sensorwatch.detectors.windowing.series import Series

STEP = 300
TRAINED, NEW = 600, 130
UNSUPERVISED = [name for name, each in detectors().items() if name != "mlp"]


def fleet() -> tuple[Series, Series]:
    """Return training windows and new ones of six sensors, with faults at the end of some."""
    random = np.random.default_rng(11)
    moments = np.arange(TRAINED + NEW)
    rows = [
        np.sin(moments / 288 * 2 * np.pi) * 3 + random.normal(20, 0.3, len(moments)),
        random.normal(0, 1, len(moments)),
        np.cumsum(random.normal(0, 0.1, len(moments))) + 1000,
        random.integers(0, 3, len(moments)).astype(np.float64),
        np.full(len(moments), 7.0),
        random.normal(1e6, 1e-3, len(moments)),
    ]
    values = np.array(rows)
    values[0, -5:] += 8
    values[1, -40:] = np.sin(moments[-40:])
    values[2, -1] = 1200
    values[3, -3:] = 9
    values[4, -1] = 8
    values[5, -1] += 1
    return _series(values[:, :TRAINED], 0), _series(values[:, TRAINED:], TRAINED)


def _series(values: np.ndarray, first: int) -> Series:
    sensors, n = values.shape
    times = 1_700_000_100 + STEP * np.arange(first + 1, first + n + 1, dtype=np.int64)
    return Series(np.arange(sensors + 1) * n, np.tile(times, sensors), values.ravel())


@cache
def found_by(name: str) -> tuple[Detector, pa.StructArray, Series, np.ndarray, np.ndarray]:
    """Return a detector, its parameters, windows, their scores, and the positions of the anomalous ones."""
    chosen = detector(name)
    training, new = fleet()
    params = chosen.fit(training).params
    calibration = calibration_of(chosen, chosen.score(params, training), training.offsets)
    raw = chosen.score(params, new)
    sensor = np.repeat(np.arange(new.n_sensors), new.lengths)
    return chosen, params, new, calibration.scores(sensor, raw), np.flatnonzero(calibration.anomalous(sensor, raw))


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_an_explanation_says_what_its_detector_does(name: str) -> None:
    chosen, params, series, scores, windows = found_by(name)
    assert len(windows)
    explained = explain(chosen, params, series, scores, windows)
    rarities = chosen.member_rarities(params, series) if isinstance(chosen, CompositeDetector) else {}
    for window, why in zip(windows.tolist(), explained, strict=True):
        packed = explanation_json(why)
        assert len(packed.encode()) <= 2000
        assert "NaN" not in packed
        assert "Infinity" not in packed
        assert parse_explanation(packed) == why
        assert why.detector == name
        assert all(0 <= member.score <= 100 and 0 <= member.weight <= 1 for member in why.members)
        if isinstance(chosen, CompositeDetector):
            fired = {member.name for member in why.members if member.fired}
            assert fired == {each for each, rarity in rarities.items() if rarity[window] >= ANOMALOUS_RARITY}
            assert sum(member.weight for member in why.members) == pytest.approx(1, abs=0.01)
        else:
            (alone,) = why.members
            assert (alone.name, alone.fired, alone.weight) == (name, True, 1.0)


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_a_pattern_is_the_nearest_one_of_the_member_that_knows_patterns(name: str) -> None:
    chosen, params, series, scores, windows = found_by(name)
    parts = chosen.members(params) if isinstance(chosen, CompositeDetector) else {name: (chosen, params)}
    found = {each: knows.nearest_patterns(own, series) for each, (knows, own) in parts.items()}
    knowing = {each: nearest for each, nearest in found.items() if nearest is not None}
    patterns = [each.pattern for each in explain(chosen, params, series, scores, windows)]
    if not knowing:
        assert patterns == [None] * len(windows)
        return
    ((who, known),) = knowing.items()
    nearest = known.values[windows]
    assert any(pattern is not None for pattern in patterns)
    for pattern, values in zip(patterns, nearest, strict=True):
        if pattern is None:
            assert np.isnan(values).any()
            continue
        assert (pattern.found_by, pattern.windows, pattern.step_seconds) == (who, nearest.shape[1], STEP)
        assert len(pattern.levels) <= MAX_LEVELS
        np.testing.assert_allclose(pattern.values(), values, atol=(pattern.high - pattern.low) / 1000 + 1e-9)


class _Long(KMeans):
    """Knows one normal pattern, of 300 windows."""

    def nearest_patterns(self, params: pa.StructArray, series: Series) -> NearestPatterns:
        return NearestPatterns(np.tile(np.arange(300.0), (len(series.values), 1)), np.full(len(params), 60))


def test_a_long_pattern_is_thinned_out_up_to_its_last_window() -> None:
    series = Series(np.array([0, 1]), np.array([5]), np.array([1.0]))
    params = pa.array([{"a": 1}])
    (why,) = explain(_Long(), params, series, np.array([90.0]), np.array([0]))
    pattern = why.pattern
    assert pattern is not None
    assert 60 <= len(pattern.levels) <= MAX_LEVELS
    values, ends = pattern.values(), pattern.ends(0)
    assert values[-1] == 299
    np.testing.assert_allclose(np.diff(values) * 60, np.diff(ends), rtol=0.06)


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_an_expected_value_lies_within_its_band(name: str) -> None:
    chosen, params, series, _, _ = found_by(name)
    band = chosen.expected(params, series, np.full(series.n_sensors, 3.0))
    assert (band is not None) == chosen.has_bands
    if band is None:
        return
    known = ~np.isnan(band.value)
    # The training range has a band without a value that is expected most.
    assert known.any() or name == "range"
    assert (band.low[known] <= band.value[known] + 1e-9 * np.abs(band.value[known])).all()
    assert (band.value[known] <= band.high[known] + 1e-9 * np.abs(band.value[known])).all()
    np.testing.assert_array_equal(np.isnan(band.low), np.isnan(band.high))


def test_an_ensemble_expects_the_weighted_mean_of_its_members() -> None:
    chosen, params, series, _, _ = found_by("auto")
    assert isinstance(chosen, Ensemble)
    band = chosen.expected(params, series, np.full(series.n_sensors, 99.0))
    weights = chosen.weights(params)
    first = slice(0, NEW)
    own = {}
    for name, (member, of_member) in chosen.members(params).items():
        limit = chosen._params.calibrations(params)[name].threshold
        if name != "range" and (each := member.expected(of_member, series, limit)) is not None:
            own[name] = each
    assert set(own) == {"ewma", "ar_season", "pca_maha"}
    total = sum(weights[name][0] for name in own)
    for column in ("value", "low", "high"):
        mean = sum(weights[name][0] / total * getattr(each, column)[first] for name, each in own.items())
        np.testing.assert_allclose(getattr(band, column)[first], mean)
    # A sensor that wanders is expected where it has lately been, not where it was in training.
    assert abs(band.value[2 * NEW] - series.values[2 * NEW]) < 1


def test_members_that_have_a_band_alone_count_where_no_other_does() -> None:
    training, new = fleet()
    chosen = detector("ensemble", json.dumps({"members": ["range", "shift"]}))
    assert isinstance(chosen, Ensemble)
    band = chosen.expected(chosen.fit(training).params, new, np.full(new.n_sensors, 3.0))
    assert np.isnan(band.value).all()
    low = training.values.reshape(new.n_sensors, -1).min(axis=1)
    assert (np.abs(band.low.reshape(new.n_sensors, -1)[:, 0] - low) < 1).all()


def test_detectors_without_bands_expect_nothing() -> None:
    training, new = fleet()
    chosen = detector("ensemble", json.dumps({"members": ["shift", "variation"]}))
    assert isinstance(chosen, Ensemble)
    band = chosen.expected(chosen.fit(training).params, new, np.full(new.n_sensors, 3.0))
    for column in (band.value, band.low, band.high):
        assert np.isnan(column).all()


def test_parameters_and_windows_stay_as_they_are() -> None:
    chosen, params, series, scores, windows = found_by("auto")
    before, values = pa.concat_arrays([params]), series.values.copy()
    again = explain(chosen, params, series, scores, windows)
    assert again == explain(chosen, params, series, scores, windows)
    assert params.equals(before)
    np.testing.assert_array_equal(series.values, values)
