"""Checks of every detector's state between scorings; a new detector is checked once it is registered."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensorwatch.detectors.base import (
    Detector,
    StatefulDetector,
    checkpoint_times,
    training_scores,
    with_checkpoint,
)
from sensorwatch.detectors.ensembles.composite import CompositeDetector
from sensorwatch.detectors.factory import detectors
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.sensors.labels import LABELLED_ANOMALOUS, LABELLED_NORMAL

WINDOW_SECONDS = 300
TRAINED, IN_ALL = 600, 700


@pytest.fixture(params=sorted(detectors()), scope="module")
def detector(request: pytest.FixtureRequest) -> Detector:
    return detectors()[request.param]


def sensors() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return times and values of one sensor of every kind that makes a difference here."""
    random = np.random.default_rng(11)
    noise = random.normal(size=IN_ALL)
    regular = 1_700_000_100 + np.arange(1, IN_ALL + 1) * WINDOW_SECONDS
    wave = 20 + 5 * np.sin(np.arange(IN_ALL) * 2 * np.pi / 288) + 0.3 * noise
    level = np.where(np.arange(IN_ALL) < TRAINED + 30, wave, wave + 15)
    kept = np.sort(random.choice(IN_ALL, IN_ALL * 3 // 5, replace=False))
    pause = np.concatenate((np.arange(300), np.arange(300, IN_ALL) + 2000, []))[:IN_ALL].astype(np.int64)
    broken = wave.copy()
    broken[::9] = np.nan
    return {
        "noise": (regular, noise),
        "a day's wave": (regular, wave),
        "another level": (regular, level),
        "irregular": (regular[kept], wave[kept]),
        "a long pause": (regular[0] + pause * WINDOW_SECONDS, wave),
        "not numbers": (regular, broken),
        "constant": (regular, np.full(IN_ALL, 4.2)),
        "on and off": (regular, (np.arange(IN_ALL) // 20 % 2).astype(np.float64)),
        "few": (regular[:40], wave[:40]),
    }


def between(first: float, last: float) -> Series:
    """Return the sensors' windows from one share of them up to another."""
    parts = [
        (
            times[int(first * len(times)) : int(last * len(times))],
            values[int(first * len(times)) : int(last * len(times))],
        )
        for times, values in sensors().values()
    ]
    offsets = np.concatenate(([0], np.cumsum([len(times) for times, _ in parts]))).astype(np.int64)
    values = np.concatenate([values for _, values in parts])
    labels = np.where(np.nan_to_num(values) > 21, LABELLED_ANOMALOUS, LABELLED_NORMAL).astype(np.int8)
    return Series(offsets, np.concatenate([times for times, _ in parts]), values, labels)


def per_sensor(raw: np.ndarray, series: Series) -> dict[str, np.ndarray]:
    return {name: raw[series.offsets[i] : series.offsets[i + 1]] for i, name in enumerate(sensors())}


SPLIT = 6 / 7


def followed(detector: Detector, params: pa.StructArray, series: Series) -> tuple[np.ndarray, pa.StructArray]:
    """Return raw scores, and the parameters with which scoring continues."""
    raw, checkpoint, _ = detector.advance(params, series)
    return raw, params if checkpoint is None else with_checkpoint(params, checkpoint)


def test_a_model_goes_on_where_its_training_ended(detector: Detector) -> None:
    params = detector.fit(between(0, SPLIT)).params
    whole = per_sensor(detector.score(params, between(0, 1)), between(0, 1))
    rest = per_sensor(detector.score(params, between(SPLIT, 1)), between(SPLIT, 1))
    assert all(len(scores) for scores in rest.values())
    for name in whole:
        np.testing.assert_allclose(rest[name], whole[name][-len(rest[name]) :], rtol=1e-9, atol=1e-9, err_msg=name)


def test_scores_that_fitting_returns_are_those_of_scoring(detector: Detector) -> None:
    series = between(0, SPLIT)
    fitted = detector.fit(series)
    np.testing.assert_array_equal(training_scores(detector, fitted, series), detector.score(fitted.params, series))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(601, 699), max_size=4, unique=True))
def test_scoring_in_pieces_gives_the_scores_of_scoring_at_once(detector: Detector, cuts: list[int]) -> None:
    params = detector.fit(between(0, SPLIT)).params
    at_once = per_sensor(detector.score(params, between(SPLIT, 1)), between(SPLIT, 1))
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in at_once}
    ends = [SPLIT, *(cut / IN_ALL for cut in sorted(cuts)), 1.0]
    for first, last in itertools.pairwise(ends):
        series = between(first, last)
        raw, following = followed(detector, params, series)
        np.testing.assert_array_equal(raw, detector.score(params, series))
        for name, own in per_sensor(raw, series).items():
            pieces[name].append(own)
        params = following
    assert all(len(whole) for whole in at_once.values())
    for name, whole in at_once.items():
        np.testing.assert_allclose(np.concatenate(pieces[name]), whole, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_future_never_changes_a_past_score(detector: Detector) -> None:
    params = detector.fit(between(0, SPLIT)).params
    series = between(SPLIT, 1)
    raw = detector.score(params, series)
    for share in (0.9, 0.99):
        shorter = between(SPLIT, share)
        known = per_sensor(detector.score(params, shorter), shorter)
        assert all(len(scores) for scores in known.values())
        for name, scores in per_sensor(raw, series).items():
            np.testing.assert_allclose(known[name], scores[: len(known[name])], rtol=1e-9, atol=1e-9, err_msg=name)
    wild = series.values.copy()
    wild[series.offsets[1:] - 1] = 1e6
    last = np.zeros(len(wild), np.bool_)
    last[series.offsets[1:] - 1] = True
    changed = detector.score(params, Series(series.offsets, series.times, wild))
    np.testing.assert_allclose(changed[~last], raw[~last], rtol=1e-9, atol=1e-9)


def test_a_checkpoint_is_that_of_the_last_window(detector: Detector) -> None:
    params = detector.fit(between(0, SPLIT)).params
    if not isinstance(detector, StatefulDetector):
        assert (checkpoint_times(params) < 0).all()
        return
    for series in (between(SPLIT, 0.95), between(0.95, 1)):
        finite = series.finite()
        _, params = followed(detector, params, series)
        fitted = params.is_valid().to_numpy(zero_copy_only=False)
        last = finite.times[finite.offsets[1:] - 1]
        np.testing.assert_array_equal(checkpoint_times(params)[fitted], last[fitted])
    empty = Series(np.zeros(params.__len__() + 1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert followed(detector, params, empty)[1].equals(params)


def test_a_nearest_pattern_is_as_far_as_the_score_says(detector: Detector) -> None:
    params = detector.fit(between(0, SPLIT)).params
    series = between(0, 1)
    found = detector.nearest_patterns(params, series)
    if found is None:
        pytest.skip("knows no patterns")
    raw, nearest = detector.score(params, series), found.values
    assert len(nearest) == len(raw)
    size = nearest.shape[1]
    np.testing.assert_array_equal(np.isnan(nearest).any(axis=1), np.isnan(raw))
    scale = params.field("scale")[0].as_py()
    for end in (200, 500, 699):
        distance = np.sqrt(np.mean((series.values[end + 1 - size : end + 1] - nearest[end]) ** 2))
        np.testing.assert_allclose(distance / scale, raw[end], rtol=1e-9)


def test_some_detectors_have_bands_ranges_and_patterns() -> None:
    able = {"bands": 0, "ranges": 0, "patterns": 0}
    for each in detectors().values():
        params = each.fit(between(0, SPLIT)).params
        able["bands"] += each.has_bands
        able["ranges"] += not np.isnan(each.expected_range(params)).all()
        able["patterns"] += each.nearest_patterns(params, between(0, SPLIT)) is not None
    assert min(able.values()) > 0, "the checks of an ability need a detector that has it"


def test_an_expected_band_is_where_normal_ends(detector: Detector) -> None:
    if not detector.has_bands:
        pytest.skip("has no bands")
    params = detector.fit(between(0, SPLIT)).params
    series = between(SPLIT, 1)
    raw = detector.score(params, series)
    for threshold in (0.5, 2.0, 6.0):
        band = detector.expected(params, series, np.full(series.n_sensors, threshold))
        assert band is not None
        known = ~np.isnan(raw)
        np.testing.assert_array_equal(np.isnan(band.low), ~known)
        np.testing.assert_array_equal(np.isnan(band.high), ~known)
        if detector.name == "range":
            assert np.isnan(band.value).all()
        else:
            np.testing.assert_array_equal(np.isnan(band.value), ~known)
            assert (band.low[known] <= band.value[known]).all()
            assert (band.value[known] <= band.high[known]).all()
        if isinstance(detector, CompositeDetector):
            continue
        outside = (series.values < band.low) | (series.values > band.high)
        clear = np.abs(raw - threshold) > 1e-6
        np.testing.assert_array_equal(outside[known & clear], (raw > threshold)[known & clear])


def test_one_pass_gives_the_results_of_separate_calls(detector: Detector) -> None:
    params = detector.fit(between(0, SPLIT)).params
    series = between(SPLIT, 1)
    limit = np.full(series.n_sensors, 2.0)
    raw, checkpoint, band = detector.advance(params, series, limit)
    np.testing.assert_array_equal(raw, detector.score(params, series))
    assert (checkpoint is not None) == isinstance(detector, StatefulDetector)
    if checkpoint is not None:
        assert checkpoint.equals(detector.advance(params, series).checkpoint)
    alone = detector.expected(params, series, limit)
    assert (band is not None) == (alone is not None) == detector.has_bands
    if band is not None and alone is not None:
        for column in ("value", "low", "high"):
            np.testing.assert_array_equal(getattr(band, column), getattr(alone, column))
