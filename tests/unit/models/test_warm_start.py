"""Weights of ensembles are learned rarely: for a few sensors at a time, and the others keep or borrow theirs."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from fakes.models import NOON, FakeRegistry, FakeStore, task

from sensorwatch.config.file import parse_configuration
from sensorwatch.detectors.ensembles.composite import PreviousModels
from sensorwatch.detectors.ensembles.ensemble import Ensemble
from sensorwatch.detectors.ensembles.member_weights import Weights
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.models.diff import describe_model
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.models.training.warm_start import EnsembleRules

HOURS = 3


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


def noise(seed: int, n: int = 300) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(20, 1, n).tolist()
    return values


def trained(
    store: FakeStore, registry: FakeRegistry, end: datetime, rules: EnsembleRules, rule: str = ""
) -> dict[int, dict[str, object]]:
    """Train; return the parameters of each sensor's model."""
    train(
        task("train", end),
        store=store,
        registry=registry,
        detector_name="auto",
        training_seconds=HOURS * 3600,
        needed=TrainingWindows(100),
        now=end,
        configuration=parse_configuration(rule, "test"),
        ensembles=rules,
    )
    return {row["sensor_id"]: row["params_auto"] for row in registry.load(registry.pointers[0]).to_pylist()}


def by(models: dict[int, dict[str, object]]) -> dict[int, object]:
    return {sensor_id: params["weighed_by"] for sensor_id, params in models.items()}


def test_a_task_weighs_so_many_sensors_and_the_others_take_the_mean_of_their_like(
    store: FakeStore, registry: FakeRegistry
) -> None:
    for i in range(1, 5):
        store.add(i, noise(i))
    models = trained(store, registry, NOON, EnsembleRules(weights_sensors=2))
    assert by(models) == {1: "own", 2: "own", 3: "alike", 4: "alike"}
    shares = {
        i: np.array(list(params["weights"].values())) / sum(params["weights"].values())  # type: ignore[attr-defined]
        for i, params in models.items()
    }
    np.testing.assert_allclose(shares[3], (shares[1] + shares[2]) / 2)
    assert models[3]["weighed_at"] == models[1]["weighed_at"] == int(NOON.timestamp())
    shown = [
        describe_model({**row, "params": row["params_auto"]})["parameters"]
        for row in registry.load(registry.pointers[0]).to_pylist()
    ]
    assert "weights learned from its own windows up to 2026-11-20T12:00:00Z" in shown[0]
    assert "mean weights of sensors with the same tag, 2026-11-20T12:00:00Z" in shown[2]


def test_weights_stay_until_they_are_old_and_those_that_waited_longest_come_first(
    store: FakeStore, registry: FakeRegistry
) -> None:
    rules = EnsembleRules(weights_days=1 / 24, weights_sensors=2)
    for i in range(1, 4):
        store.add(i, noise(i))
    first = trained(store, registry, NOON, rules)
    soon, late = NOON + timedelta(minutes=30), NOON + timedelta(minutes=70)
    for i in range(1, 4):
        store.add(i, noise(10 + i), end=soon)
    second = trained(store, registry, soon, rules)
    assert by(second) == {1: "own", 2: "own", 3: "own"}
    for i in (1, 2):
        assert second[i]["weights"] == first[i]["weights"]
        assert second[i]["precision"] == first[i]["precision"]
        assert second[i]["weighed_at"] == int(NOON.timestamp())
    assert second[3]["weighed_at"] == int(soon.timestamp())
    for i in range(1, 4):
        store.add(i, noise(20 + i), end=late)
    third = trained(store, registry, late, rules)
    assert [third[i]["weighed_at"] for i in (1, 2, 3)] == [int(each.timestamp()) for each in (late, late, soon)]
    assert third[1]["weights"] != first[1]["weights"]


def test_training_twice_gives_the_same_models(store: FakeStore, registry: FakeRegistry) -> None:
    for i in range(1, 4):
        store.add(i, noise(i))
    again = FakeRegistry()
    rules = EnsembleRules(weights_sensors=1)
    assert trained(store, registry, NOON, rules) == trained(store, again, NOON, rules)


def test_without_measured_weights_all_members_count_the_same(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(1))
    (params,) = trained(store, registry, NOON, EnsembleRules(weights_sensors=0)).values()
    assert (params["weighed_by"], params["weighed_at"]) == ("equal", None)
    assert set(params["weights"].values()) == {1.0}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rule", "seconds"), [("", 7200), ("detectors: [{detector: auto, parameters: {new_normal_seconds: 900}}]", 900)]
)
def test_a_rule_says_better_than_the_settings_when_a_change_is_normal(
    store: FakeStore, registry: FakeRegistry, rule: str, seconds: int
) -> None:
    store.add(1, noise(1))
    (params,) = trained(store, registry, NOON, EnsembleRules(new_normal_seconds=7200), rule).values()
    assert params["new_normal_seconds"] == seconds


def test_a_change_counts_as_normal_after_its_set_time() -> None:
    values = np.random.default_rng(3).normal(20, 1, 3000)
    values[1000:] += 15
    times = 1_700_000_100 + 60 * np.arange(1, 3001, dtype=np.int64)
    ends = {}
    for seconds in (40_000, 80_000):
        chosen = detector("auto", f'{{"new_normal_seconds":{seconds}}}')
        fitted = chosen.fit(Series(np.array([0, 720]), times[:720], values[:720]))
        raw = chosen.score(fitted.params, Series(np.array([0, 2280]), times[720:], values[720:]))
        alarm = np.flatnonzero(raw[:1900] > 3) + 720
        ends[seconds] = int(times[alarm[-1]] - times[1000])
    assert 39_000 < ends[40_000] < 50_000
    assert 79_000 < ends[80_000] < 90_000


def test_weights_of_other_members_count_for_nothing() -> None:
    times = 1_700_000_100 + 60 * np.arange(1, 401, dtype=np.int64)
    series = Series(np.array([0, 400]), times, np.array(noise(1, 400)))
    few = detector("ensemble", '{"members":["range","ewma"]}').fit(series).params
    weights = Weights.of(few, ["range", "shift"])
    assert [each.tolist() for each in weights.weight.values()] == [[1.0], [1.0]]
    auto = detector("auto")
    assert isinstance(auto, Ensemble)
    own = auto.fit(series).params
    kept = auto.warm_start(series, PreviousModels.keeping_weights(own)).params
    assert kept.equals(own)
