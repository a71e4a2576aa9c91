"""Ensembles: weights, adaptation, false alarms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sensorwatch.detectors.base import calibration_of
from sensorwatch.detectors.ensembles.adaptive_tail import NEW_NORMAL_WINDOWS, Adaptation, NormalRarities, adapt
from sensorwatch.detectors.ensembles.ensemble import Ensemble
from sensorwatch.detectors.ensembles.recent_tail import HOLD_WINDOWS, RecentTail
from sensorwatch.detectors.ensembles.synthetic_anomalies import (
    MIN_WINDOWS,
    add_synthetic_anomalies,
    average_precisions,
)
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.errors import InvalidInputError
from sensorwatch.models.diff import describe_model
from sensorwatch.models.table import MODEL_SCHEMA

STEP_SECONDS = 300


def series_of(values: np.ndarray, first: int = 0) -> Series:
    """Return sensors, a row each; their first window is the one of that number."""
    sensors, n = values.shape
    times = 1_700_000_100 + STEP_SECONDS * np.arange(first + 1, first + n + 1, dtype=np.int64)
    return Series(np.arange(sensors + 1) * n, np.tile(times, sensors), np.asarray(values, np.float64).ravel())


def auto() -> Ensemble:
    chosen = detector("auto")
    assert isinstance(chosen, Ensemble)
    return chosen


# ---- adaptation ------------------------------------------------------------------------------------------------------

NORMAL = NormalRarities(np.array([0.4]), np.array([0.16]), np.array([1.2]), np.array([0.4]))


def followed(rarity: np.ndarray, patience: float = 1e9) -> np.ndarray:
    """Return the scores of a sensor, or of several, a row each."""
    series = series_of(np.atleast_2d(rarity))
    n = series.n_sensors
    normal, never = NormalRarities(*(np.repeat(each, n) for each in NORMAL)), np.zeros(n, np.int64)
    scores, _ = adapt(series.values, series, normal, Adaptation.initial(normal, never), never, np.full(n, patience))
    return scores.reshape(rarity.shape)


def exponential(n: int) -> np.ndarray:
    return np.random.default_rng(1).exponential(0.4, n)


def test_values_as_in_training_are_normal_about_as_often_as_stated() -> None:
    found = (followed(np.random.default_rng(1).exponential(0.4, (20, 3000))) > 3).mean()
    assert 0.0005 <= found <= 0.002


def test_a_tail_that_is_heavier_than_in_training_is_learnt() -> None:
    heavy = 0.6 * np.abs(np.random.default_rng(3).standard_t(5, (20, 6000)))
    alarms = followed(heavy) > 3
    by_training = (heavy > NORMAL.level + 1.7 * np.log(10) * NORMAL.excess).mean()
    assert by_training > 0.005
    assert 0.0005 <= alarms[:, 1000:].mean() <= 0.002


def learning_tail() -> tuple[RecentTail, Callable[[float, int], None]]:
    """Return the tail of a sensor, and a way to show it a rarity so many times; usually rarities are near 0.4."""
    tail = RecentTail.initial(np.array([1.0]), np.array([0.3]))

    def learn(rarity: float, times: int) -> None:
        window, beyond = np.array([rarity]), np.array([rarity - 0.4])
        for _ in range(times):
            tail.update(window, beyond, tail.calibrated(window, beyond), np.array([True]))

    return tail, learn


def test_alarms_make_cautious_and_calm_undoes_it_at_the_nominal_rate() -> None:
    tail, learn = learning_tail()
    at_first = float(tail.caution[0])
    learn(4.0, 1)
    after_one = float(tail.caution[0])
    assert after_one > at_first + 0.15
    learn(5.0, 50)
    after_all = float(tail.caution[0])
    assert after_one < after_all <= at_first + 5 * (after_one - at_first)
    learn(0.5, HOLD_WINDOWS - 1 - int(tail.calm[0]))
    assert tail.caution[0] == after_all
    learn(0.5, 1000)
    assert after_all - tail.caution[0] == pytest.approx(after_one - at_first, rel=0.01)
    learn(0.5, 20_000)
    assert 0.5 < tail.caution[0] < 1


def test_a_strong_window_is_an_alarm_whatever_the_tail_says_and_teaches_it_nothing() -> None:
    tail, learn = learning_tail()
    for _ in range(20):
        learn(4.5, 1)
        learn(0.3, HOLD_WINDOWS)
    before = [float(each[0]) for each in (tail.level, tail.excess, tail.caution)]
    assert tail.calibrated(np.array([4.5]), np.array([4.1]))[0] < 3
    assert tail.calibrated(np.array([4.5]), np.array([6.0]))[0] == 6.0
    learn(9.0, 5)
    assert [float(each[0]) for each in (tail.level, tail.excess, tail.caution)] == before


def test_a_strong_alarm_goes_on_and_a_weak_one_is_learnt() -> None:
    weak, strong = (np.minimum(exponential(1200), 1.5) for _ in range(2))
    weak[500:700] += 2.6
    strong[500:700] += 6
    assert (followed(strong)[500:700] > 3).all()
    assert (followed(weak)[500:503] > 3).any()
    assert (followed(weak)[520:700] > 3).mean() < 0.2


def test_the_aftermath_of_a_fault_is_no_alarm_and_a_new_fault_is() -> None:
    rarity = np.minimum(exponential(1200), 1.0)
    rarity[500:520] += 8.0
    rarity[520:560] = np.linspace(5.5, 1.5, 40)
    rarity[660:670] += 8.0
    alarms = followed(rarity) > 3
    assert alarms[500:520].all()
    assert not alarms[520:660].any()
    assert alarms[660:670].all()


def test_a_single_wild_window_ranks_high_at_once() -> None:
    rarity = np.minimum(exponential(1200), 1.0)
    rarity[20] = 1.9
    scores = followed(rarity)
    assert scores[20] == scores[:21].max() < 3


def test_slowly_rising_rarities_are_no_alarm() -> None:
    rarity = np.minimum(exponential(5000), 1.5) + np.linspace(0, 4, 5000)
    assert (rarity > 3).mean() > 0.3
    assert (followed(rarity) > 3).mean() < 0.002


def alarming(scores: np.ndarray) -> tuple[int, int]:
    """Return the first and the last anomalous window; they are one alarm."""
    anomalous = np.flatnonzero(scores > 3)
    assert np.diff(anomalous).max() <= HOLD_WINDOWS
    return int(anomalous[0]), int(anomalous[-1])


def test_a_sudden_change_alarms_until_it_is_normal() -> None:
    usual = np.minimum(exponential(3000), 1.5)
    usual[1000:] += 6
    assert alarming(followed(usual)) == (1000, 2999)
    first, last = alarming(followed(usual, patience=700 * STEP_SECONDS))
    assert first == 1000
    assert 1690 <= last <= 1705


def test_a_new_normal_takes_its_windows_however_short_its_time() -> None:
    usual = np.minimum(exponential(3000), 1.5)
    usual[1000:] += 6
    first, last = alarming(followed(usual, patience=0.0))
    assert first == 1000
    assert NEW_NORMAL_WINDOWS - 10 <= last - first <= NEW_NORMAL_WINDOWS


def test_a_fault_teaches_little() -> None:
    rarity = np.minimum(exponential(1200), 1.5)
    faulty = rarity.copy()
    faulty[500:600] = 8.0
    changed = followed(faulty)
    np.testing.assert_array_equal(changed[:500], followed(rarity)[:500])
    assert (changed[500:600] > 3).all()
    assert (changed[600:] < 3).all()
    again = faulty.copy()
    again[900:910] = 8.0
    assert (followed(again)[900:910] > 3).all()


# ---- synthetic anomalies ---------------------------------------------------------------------------------------------


def test_synthetic_anomalies_are_the_same_whatever_else_is_in_the_batch() -> None:
    values = np.random.default_rng(5).normal(size=(3, 400))
    together, disturbed = add_synthetic_anomalies(series_of(values), 0)
    alone, own = add_synthetic_anomalies(series_of(values[1:2]), 0)
    np.testing.assert_array_equal(together.values[400:800], alone.values)
    np.testing.assert_array_equal(disturbed[400:800], own)
    other, _ = add_synthetic_anomalies(series_of(values[1:2]), 1)
    assert not np.array_equal(other.values, alone.values)
    assert 0.05 < own.mean() < 0.8


def test_only_disturbed_windows_differ_and_short_series_stay_as_they_are() -> None:
    values = np.random.default_rng(6).normal(size=(1, 500))
    series = series_of(values)
    faulty, disturbed = add_synthetic_anomalies(series, 2)
    assert not disturbed[faulty.values != series.values].__invert__().any()
    short = series_of(values[:, : MIN_WINDOWS - 1])
    untouched, none = add_synthetic_anomalies(short, 2)
    np.testing.assert_array_equal(untouched.values, short.values)
    assert not none.any()
    assert np.isnan(average_precisions(none, {"any": short.values}, short)["any"]).all()


def test_average_precision_is_the_sum_over_all_thresholds() -> None:
    random = np.random.default_rng(7)
    labels, rarity = random.random(300) < 0.2, random.integers(0, 20, 300).astype(np.float64)
    found = average_precisions(labels, {"any": rarity}, series_of(np.zeros((1, 300))))["any"][0]
    expected, recall_before = 0.0, 0.0
    for threshold in range(19, -1, -1):
        flagged = rarity >= threshold
        recall = (labels & flagged).sum() / labels.sum()
        if flagged.any():
            expected += (recall - recall_before) * (labels & flagged).sum() / flagged.sum()
        recall_before = recall
    assert found == pytest.approx(expected)


# ---- the ensemble ----------------------------------------------------------------------------------------------------


def test_members_weigh_by_what_they_find() -> None:
    random = np.random.default_rng(8)
    wave = 30 * np.sin(np.arange(1440) * 2 * np.pi / 288)
    params = auto().fit(series_of(np.stack((wave + random.normal(size=1440), random.normal(size=1440))))).params
    weights = auto().weights(params)
    # Inside a wide wave the training range says little; in plain noise it says much.
    relative = weights["range"] / sum(weights.values())
    assert relative[0] < 0.6 * relative[1]
    row = params[0].as_py()
    for name, weight in row["weights"].items():
        assert weight == pytest.approx(max(row["precision"][name], 0.01) ** 4)


def test_an_ensemble_has_the_members_that_were_named_with_equal_weights() -> None:
    named = detector("ensemble", '{"members":["ewma","range"]}')
    assert isinstance(named, Ensemble)
    values = np.random.default_rng(9).normal(size=(2, 400))
    params = named.fit(series_of(values)).params
    weights = {name: each for name, each in named.weights(params).items() if not np.isnan(each).all()}
    assert sorted(weights) == ["ewma", "range"]
    assert all((each == 1).all() for each in weights.values())
    # Whatever made it, the stored parameters say who its members are.
    later = series_of(np.array([[0.0, 50.0], [0.0, 50.0]]), first=400)
    raw = detector("ensemble").score(params, later)
    np.testing.assert_array_equal(raw, named.score(params, later))
    assert (raw > 3).tolist() == [False, True, False, True]


@pytest.mark.parametrize("given", ['{"members":["range"]}', '{"members":["range","auto"]}', '{"members":[]}'])
def test_an_ensemble_of_less_than_two_or_of_what_is_unknown_is_refused(given: str) -> None:
    with pytest.raises(InvalidInputError, match=r"at least two members of ar_season, .*; got "):
        detector("ensemble", given)


def test_a_shown_model_has_the_weights_of_its_members_and_the_reasons() -> None:
    values = np.random.default_rng(9).normal(size=(1, 720))
    shown = describe_model(model_of("auto", auto().fit(series_of(values)).params[0].as_py()))["parameters"]
    parts = shown.split(", ")[0].split("; ")
    assert len(parts) == 7
    shares = [int(part.split()[1]) for part in parts]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=4)
    assert all("finds synthetic anomalies with precision 0." in part for part in parts)
    short = auto().fit(series_of(values[:, :120])).params[0].as_py()
    assert "synthetic" not in describe_model(model_of("auto", short))["parameters"]


def model_of(name: str, params: dict[str, object]) -> dict[str, object]:
    columns = (*MODEL_SCHEMA.names, "params")
    return {**dict.fromkeys(columns), "detector": name, "state": "ready", "params": params}


def test_raw_scores_are_rarities_already() -> None:
    calibration = calibration_of(auto(), np.zeros(3), np.array([0, 3]))
    raw = np.array([0.0, 1.0, 3.0, 3.1, 5.0, 10.0])
    assert calibration.rarity(np.zeros(6, np.int64), raw) == pytest.approx([0, 1, 3, 3.1, 5, 10], abs=1e-9)
    assert calibration.anomalous(np.zeros(6, np.int64), raw).tolist() == [False, False, False, True, True, True]


KINDS = ("white", "correlated", "heavy-tailed", "daily", "trend", "wander", "random walk")


def healthy(kind: str, sensors: int, n: int) -> np.ndarray:
    random = np.random.default_rng(len(kind))
    values: np.ndarray = random.standard_normal((sensors, n))
    share = np.arange(n) / n
    match kind:
        case "correlated":
            for i in range(1, n):
                values[:, i] += 0.8 * values[:, i - 1]
        case "heavy-tailed":
            values = random.standard_t(5, (sensors, n))
        case "daily":
            values += 10 * np.sin(2 * np.pi * np.arange(n) / 288)
        case "trend":
            values += 10 * share
        case "wander":
            values += 5 * np.sin(3 * np.pi * share + random.uniform(0, 6, (sensors, 1)))
        case "random walk":
            values += np.cumsum(0.1 * random.standard_normal((sensors, n)), axis=1)
    return values


def false_alarms(kind: str, sensors: int, scored: int) -> float:
    """Return the share of windows of healthy sensors that are anomalous behind their training."""
    trained = 720
    values = healthy(kind, sensors, trained + scored)
    params = auto().fit(series_of(values[:, :trained])).params
    return float((auto().score(params, series_of(values[:, trained:], first=trained)) > 3).mean())


@pytest.mark.parametrize("kind", ["correlated", "heavy-tailed", "wander"])
def test_false_alarms_are_few(kind: str) -> None:
    assert false_alarms(kind, 8, 1500) <= 0.002


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_false_alarms_are_about_one_in_a_thousand(kind: str) -> None:
    # Nominal is 0.001, and as they come in clusters a factor of two is left.
    assert 0.0004 <= false_alarms(kind, 40, 3000) <= 0.002


FAULT_WINDOWS = 10


@pytest.mark.parametrize("kind", ["constant", "white", "correlated", "digital"])
def test_a_fault_that_comes_again_and_again_is_an_alarm_each_time(kind: str) -> None:
    sensors, faults, apart = 8, 6, 300
    begins = 720 + 200 + apart * np.arange(faults)
    values = healthy("correlated" if kind == "correlated" else "white", sensors, int(begins[-1]) + 100)
    if kind == "constant":
        values[:] = 3.0
    elif kind == "digital":
        values = np.round(0.4 * values)
    for begin in begins:
        values[:, begin : begin + FAULT_WINDOWS] += 12.0
    params = auto().fit(series_of(values[:, :720])).params
    alarms = (auto().score(params, series_of(values[:, 720:], first=720)) > 3).reshape(sensors, -1)
    met = [alarms[:, begin - 720 : begin - 720 + FAULT_WINDOWS].any(axis=1).mean() for begin in begins]
    assert min(met) >= 0.75, met


def test_a_lasting_change_is_one_alarm_and_then_normal() -> None:
    random = np.random.default_rng(10)
    values = random.normal(20, 1, (1, 3000))
    values[:, 1500:] += 12
    params = auto().fit(series_of(values[:, :720])).params
    raw = auto().score(params, series_of(values[:, 720:], first=720))
    alarming = np.flatnonzero(raw > 3) + 720
    during = alarming[(alarming >= 1500) & (alarming < 1500 + NEW_NORMAL_WINDOWS + HOLD_WINDOWS)]
    assert during[0] == 1500
    assert np.diff(during).max() <= HOLD_WINDOWS
    assert len(during) > 0.9 * NEW_NORMAL_WINDOWS
    assert (alarming > during[-1]).sum() <= 0.01 * (3000 - during[-1])
