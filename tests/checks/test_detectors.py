"""Checks of every registered detector; a new one is checked once it is registered."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sensorwatch.detectors.base import Detector, StatefulDetector
from sensorwatch.detectors.calibration import calibrate
from sensorwatch.detectors.factory import detectors
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.sensors.labels import LABELLED_ANOMALOUS, LABELLED_NORMAL

WINDOW_SECONDS = 5
LATER = 304 * WINDOW_SECONDS
"""After the windows of every sensor here, and near enough for what came before to count."""


def series_of(*sensors: list[float] | np.ndarray, after: int = 0) -> Series:
    """Return the sensors' windows, the first of which ends one window length behind ``after``."""
    lengths = [len(sensor) for sensor in sensors]
    return Series(
        np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        np.concatenate([after + np.arange(1, n + 1, dtype=np.int64) * WINDOW_SECONDS for n in lengths]),
        np.concatenate([np.asarray(sensor, np.float64) for sensor in sensors]),
        np.concatenate([labels_of(np.asarray(sensor, np.float64)) for sensor in sensors]),
    )


def limits(detector: Detector, params: pa.StructArray, training: Series) -> np.ndarray:
    """Return the highest raw score of each sensor that is still normal."""
    finite = training.finite()
    return calibrate(detector.score(params, finite), finite.offsets, detector.threshold).threshold


def labels_of(sensor: np.ndarray) -> np.ndarray:
    """Return labels for the detectors that learn from them: the farthest tenth of the values is anomalous."""
    finite = np.where(np.isnan(sensor), np.nanmedian(sensor) if np.isfinite(sensor).any() else 0.0, sensor)
    labels = np.full(len(sensor), LABELLED_NORMAL, np.int8)
    with np.errstate(over="ignore"):
        farthest = np.argsort(np.abs(finite / 2 - np.median(finite) / 2 if len(finite) else finite), kind="stable")
    labels[farthest[len(sensor) - (len(sensor) + 9) // 10 :]] = LABELLED_ANOMALOUS
    return labels


def zoo() -> dict[str, np.ndarray]:
    """Return one sensor of every kind that a fleet holds."""
    random = np.random.default_rng(7)
    noise = random.normal(size=300)
    gaps = 20 + noise
    gaps[::7] = np.nan
    spiky = 20 + noise.copy()
    spiky[[50, 200]] += 40
    walk = np.zeros(300)
    for i in range(1, 300):
        walk[i] = 0.9 * walk[i - 1] + noise[i]
    return {
        "noise": 20 + noise,
        "uniform": random.uniform(size=300),
        "autoregressive": walk,
        "spiky": spiky,
        "heavy-tailed": random.standard_t(2, size=300),
        "integers": random.integers(0, 5, size=300).astype(np.float64),
        "two values": np.array([0.0, 1.0] * 150),
        "constant": np.full(300, 21.3),
        "zero": np.zeros(300),
        "averaged constant": np.array([0.1 + 0.2, 0.3] * 150),
        "gaps": gaps,
        "infinities": np.concatenate((20 + noise, [np.inf, -np.inf])),
        "large": 1e12 + 1e9 * noise,
        "small": 1e-12 * noise,
        "offset": 1e9 + noise,
        "trending": 0.05 * np.arange(300) + noise,
        "seasonal": 20 + 5 * np.sin(np.arange(300) * 2 * np.pi / 24) + noise,
        "bursty": np.where(np.arange(300) // 30 % 4 == 3, 10 + 3 * noise, 0.01 * noise),
        "mostly zero": np.where(random.random(300) < 0.02, noise, 0.0),
    }


def scant() -> dict[str, np.ndarray]:
    """Return sensors that some detectors can learn from."""
    random = np.random.default_rng(8)
    return {
        "two points": np.array([1.0, 2.0]),
        "short": 20 + random.normal(size=40),
        "mostly not numbers": np.where(random.random(300) < 0.7, np.nan, 20 + random.normal(size=300)),
    }


def hopeless() -> dict[str, np.ndarray]:
    """Return sensors that no detector can learn from."""
    return {
        "empty": np.array([]),
        "one point": np.array([1.0]),
        "no number": np.full(300, np.nan),
    }


@pytest.fixture(params=sorted(detectors()))
def detector(request: pytest.FixtureRequest) -> Detector:
    return detectors()[request.param]


def test_every_usual_sensor_gets_a_model(detector: Detector) -> None:
    sensors = zoo()
    reasons = detector.fit(series_of(*sensors.values())).reasons
    assert dict(zip(sensors, reasons, strict=True)) == dict.fromkeys(sensors)


def test_a_sensor_of_few_windows_gets_a_model_or_a_reason(detector: Detector) -> None:
    series = series_of(*scant().values())
    fitted = detector.fit(series)
    raw = detector.score(fitted.params, series)
    assert len(fitted.reasons) == len(scant()) > 0
    for i, reason in enumerate(fitted.reasons):
        own = raw[series.offsets[i] : series.offsets[i + 1]]
        assert fitted.params[i].is_valid == (reason is None)
        assert np.isnan(own).all() == (reason is not None)


def test_sensors_that_cannot_be_trained_fail_alone_with_a_reason(detector: Detector) -> None:
    good = zoo()["noise"]
    together = series_of(*hopeless().values(), good)
    fitted = detector.fit(together)
    assert [reason is not None for reason in fitted.reasons] == [True, True, True, False]
    assert fitted.params.is_valid().to_pylist() == [False, False, False, True]
    raw = detector.score(fitted.params, together)
    alone = detector.fit(series_of(good))
    assert np.isnan(raw[: -len(good)]).all()
    assert not np.isnan(raw[-1])
    np.testing.assert_allclose(raw[-len(good) :], detector.score(alone.params, series_of(good)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("values", [[1e308, -1e308] * 60, [0.0, 1e-300] * 60, [1e200, 2e200] * 60])
def test_extreme_values_fail_with_a_reason_or_work(detector: Detector, values: list[float]) -> None:
    fitted = detector.fit(series_of(values))
    raw = detector.score(fitted.params, series_of(values))
    assert np.isnan(raw).all() if fitted.reasons[0] else np.isfinite(raw[-1])
    assert not np.isinf(raw).any()


def test_models_score_the_same_after_a_way_through_a_file(detector: Detector) -> None:
    series = series_of(*zoo().values(), *scant().values(), *hopeless().values())
    params = detector.fit(series).params
    sink = pa.BufferOutputStream()
    table = pa.table({"params": params})
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.open_file(pa.BufferReader(sink.getvalue())) as reader:
        stored = reader.read_all()["params"].combine_chunks()
    np.testing.assert_array_equal(detector.score(stored, series), detector.score(params, series))


def test_models_picked_from_a_shard_score_the_same(detector: Detector) -> None:
    sensors = list(zoo().values())
    series = series_of(*sensors)
    params = detector.fit(series).params
    raw = detector.score(params, series)
    picked = detector.score(params.take(pa.array([3, 9])), series_of(sensors[3], sensors[9]))
    sliced = detector.score(params.slice(3, 1), series_of(sensors[3]))
    np.testing.assert_array_equal(sliced, raw[series.offsets[3] : series.offsets[4]])
    np.testing.assert_array_equal(picked[: len(sensors[3])], sliced)


def test_a_batch_equals_its_sensors_one_by_one(detector: Detector) -> None:
    sensors = list((zoo() | scant() | hopeless()).values())
    series = series_of(*sensors)
    fitted = detector.fit(series)
    raw = detector.score(fitted.params, series)
    low, high = detector.expected_range(fitted.params)
    for i, sensor in enumerate(sensors):
        alone = detector.fit(series_of(sensor))
        assert alone.reasons[0] == fitted.reasons[i]
        own = slice(series.offsets[i], series.offsets[i + 1])
        np.testing.assert_allclose(detector.score(alone.params, series_of(sensor)), raw[own], rtol=0, atol=1e-12)
        np.testing.assert_allclose(detector.expected_range(alone.params), [[low[i]], [high[i]]], rtol=1e-12)


def test_inputs_are_not_changed(detector: Detector) -> None:
    series = series_of(*zoo().values())
    for array in (series.offsets, series.times, series.values):
        array.flags.writeable = False
    fitted = detector.fit(series)
    detector.score(fitted.params, series)


def test_fitting_twice_gives_the_same_models(detector: Detector) -> None:
    series = series_of(*zoo().values())
    assert detector.fit(series).params.equals(detector.fit(series).params)


def test_a_far_outlier_is_anomalous_whatever_the_sensor(detector: Detector) -> None:
    for name, sensor in zoo().items():
        finite = sensor[np.isfinite(sensor)]
        reach = max(float(np.ptp(finite)), abs(float(finite.mean())), 1.0)
        params = detector.fit(series_of(sensor)).params
        limit = limits(detector, params, series_of(sensor))
        for value in (finite.min() - 50 * reach, finite.max() + 50 * reach):
            raw = detector.score(params, series_of([value], after=LATER))
            assert (raw > limit).all(), name


def test_decisions_without_scores_are_those_of_the_scores(detector: Detector) -> None:
    points = []
    for sensor in [*zoo().values(), *scant().values(), *hopeless().values()]:
        finite = sensor[np.isfinite(sensor)] if np.isfinite(sensor).any() else np.zeros(1)
        low, high = finite.min(), finite.max()
        near = [end * (1 + k * 2.0**-52) for end in (low, high) for k in range(-20, 21)]
        around = np.linspace(low - (high - low), high + (high - low), 101)
        points.append(np.concatenate((around, near, low + 1e-9 * np.arange(-9, 10), [np.nan, np.inf, -np.inf])))
    training = series_of(*zoo().values(), *scant().values(), *hopeless().values())
    params = detector.fit(training).params
    limit = limits(detector, params, training)
    for given in (points, [each[: i % 7 * 20] for i, each in enumerate(points)]):
        series = series_of(*given)
        with np.errstate(invalid="ignore"):
            expected = detector.score(params, series) > np.repeat(limit, series.lengths)
        np.testing.assert_array_equal(detector.anomalous(params, series, limit), expected)


def test_further_out_is_never_less_anomalous(detector: Detector) -> None:
    for name, sensor in zoo().items():
        finite = sensor[np.isfinite(sensor)]
        reach = max(float(np.ptp(finite)), 1e-12)
        params = detector.fit(series_of(sensor)).params
        for direction in (-1, 1):
            # Where the values before count too, one has to be far out to decide alone.
            distances = np.geomspace(50.0 if isinstance(detector, StatefulDetector) else 0.5, 1e6, 40) * reach
            outwards = (finite.max() if direction > 0 else finite.min()) + direction * distances
            if isinstance(detector, StatefulDetector):
                # Each alone: a value that has been is part of what is known when the next one comes.
                each = Series(np.arange(len(outwards) + 1), np.full(len(outwards), LATER), outwards)
                raw = detector.score(params.take(pa.array(np.zeros(len(outwards), np.int64))), each)
            else:
                raw = detector.score(params, series_of(outwards))
            assert (np.diff(raw) >= -1e-12).all(), name


def test_a_missing_number_has_no_score(detector: Detector) -> None:
    for sensor in (zoo()["noise"], zoo()["constant"]):
        params = detector.fit(series_of(sensor)).params
        assert np.isnan(detector.score(params, series_of([np.nan]))).all()


def test_the_expected_range_is_where_normal_ends(detector: Detector) -> None:
    checked = 0
    for name, sensor in zoo().items():
        params = detector.fit(series_of(sensor)).params
        (low,), (high,) = detector.expected_range(params)
        if np.isnan(low):
            continue
        checked += 1
        assert low <= high, name
        margin = max(high - low, abs(low), abs(high), 1e-9) * 0.05
        inside = detector.score(params, series_of([low, high]))
        outside = detector.score(params, series_of([low - margin, high + margin]))
        limit = limits(detector, params, series_of(sensor))
        assert (inside <= limit + 1e-8).all(), name
        assert (outside > limit).all(), name
    if not checked:
        pytest.skip("has no range that holds at any time")


def test_fitting_and_scoring_no_sensors_works(detector: Detector) -> None:
    nothing = Series(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    fitted = detector.fit(nothing)
    assert len(fitted.params) == 0
    assert fitted.reasons == ()
    assert len(detector.score(fitted.params, nothing)) == 0
