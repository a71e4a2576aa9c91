"""The gate keeps a worse model out, says why, and lets ordinary sensors through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from every_case import check_every
from fakes.models import NOON, FakeRegistry, FakeStore, task
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.detectors.base import Detector, Fitted
from sensorwatch.detectors.factory import detector
from sensorwatch.detectors.windowing.series import Series
from sensorwatch.models.table import has_model
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.promotion import PromotionRules, refusals
from sensorwatch.models.training.refused import refused_models
from sensorwatch.models.training.train import TrainSummary, train

Floats = npt.NDArray[np.float64]
RULES = PromotionRules()


def series_of(*sensors: Floats) -> Series:
    lengths = [len(values) for values in sensors]
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    times = np.concatenate([5 * np.arange(length, dtype=np.int64) for length in lengths])
    return Series(offsets, times, np.concatenate(sensors))


def judged(*sensors: Floats, name: str = "ocsvm", rules: PromotionRules = RULES) -> dict[int, str]:
    chosen, series = detector(name), series_of(*sensors)
    params = chosen.fit(series).params
    return refusals(chosen, params, series, chosen.score(params, series), rules)


def random() -> np.random.Generator:
    return np.random.default_rng(7)


def autoregressive(rng: np.random.Generator, weight: float) -> Floats:
    values = rng.normal(size=720)
    for i in range(1, len(values)):
        values[i] += weight * values[i - 1]
    return values


ORDINARY: dict[str, Callable[[np.random.Generator], Floats]] = {
    "noise": lambda rng: rng.normal(20, 1, 720),
    "uniform": lambda rng: rng.uniform(0, 1, 720),
    "autoregressive": lambda rng: autoregressive(rng, 0.95),
    "spiky": lambda rng: np.where(rng.random(720) < 0.02, 50 * rng.normal(size=720), rng.normal(size=720)),
    "heavy-tailed": lambda rng: rng.standard_t(1.5, 720),
    "constant": lambda _: np.full(720, 5.25),
    "zero": lambda _: np.zeros(720),
    "few integers": lambda rng: rng.integers(0, 4, 720).astype(float),
    "huge": lambda rng: 1e200 * rng.normal(size=720),
    "tiny": lambda rng: 1e-150 * rng.normal(size=720),
    "on a high level": lambda rng: 1e9 + 1e-3 * rng.normal(size=720),
    "two windows": lambda _: np.array([1.0, 2.0]),
}


def test_ordinary_sensors_pass() -> None:
    def check(kind: str) -> None:
        rng = random()
        assert judged(*(ORDINARY[kind](rng) for _ in range(10))) == {}

    check_every(ORDINARY, check)


def test_a_sensor_that_has_just_moved_or_runs_away_is_refused_alone() -> None:
    rng = random()
    moved = np.concatenate((rng.normal(20, 1, 600), rng.normal(40, 1, 120)))
    running = np.arange(720.0)
    found = judged(rng.normal(20, 1, 720), moved, rng.normal(20, 1, 720), running)
    assert sorted(found) == [1, 3]
    assert found[3].startswith("fitted without its last 144 windows, it flags 100 % of them, more than the 50 % of")


def test_a_new_level_passes_once_it_has_lasted() -> None:
    rng = random()
    assert judged(np.concatenate((rng.normal(20, 1, 400), rng.normal(40, 1, 320)))) == {}


def test_a_hold_out_of_nothing_or_of_a_few_windows_is_not_judged() -> None:
    assert judged(np.arange(720.0), rules=PromotionRules(holdout_share=0)) == {}
    assert judged(np.arange(49.0)) == {}
    assert list(judged(np.arange(50.0))) == [0]


def test_a_model_that_flags_most_of_what_it_was_trained_on_is_refused() -> None:
    found = judged(random().standard_t(1.5, 720), np.zeros(0), name="ocsvm_sklearn", rules=PromotionRules(0, 0.01))
    assert "of the windows that it was trained on, more than the 1 % of" in found[0]


class Odd(Detector):
    """A detector whose models give every value the same raw score."""

    name = "odd"
    threshold = 0.0

    def __init__(self, raw: float) -> None:
        self._raw = raw

    def fit(self, series: Series) -> Fitted:
        return Fitted(pa.array([{"a": 1}] * series.n_sensors), (None,) * series.n_sensors)

    def score(self, params: pa.StructArray, series: Series) -> Floats:
        return np.full(len(series.values), self._raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (np.nan, "its scores of 30 of 30 training windows are not finite"),
        (np.inf, "its scores of 30 of 30 training windows are not finite"),
        (1.0, "it flags 100 % of the windows that it was trained on"),
        (-1.0, "it flags nothing: neither -28999 nor 29029, although it was trained on values from 0 to 29"),
    ],
)
def test_a_degenerate_model_is_refused_with_what_is_wrong(raw: float, reason: str) -> None:
    odd, series = Odd(raw), series_of(np.arange(30.0))
    params = odd.fit(series).params
    found = refusals(odd, params, series, odd.score(params, series), RULES)
    assert found[0].startswith(reason.replace("-28999", "-29000"))


@given(st.permutations(range(4)))
def test_each_sensor_is_judged_by_itself(order: list[int]) -> None:
    rng = random()
    sensors = [rng.normal(20, 1, 300), np.arange(300.0), np.full(60, 3.0), -(np.arange(100.0) ** 2)]
    alone = {i: judged(values).get(0) for i, values in enumerate(sensors)}
    together = judged(*(sensors[i] for i in order))
    assert {order[at]: reason for at, reason in together.items()} == {i: r for i, r in alone.items() if r}


# ---- in training -----------------------------------------------------------------------------------------------------


def run(store: FakeStore, registry: FakeRegistry, end: object = NOON) -> TrainSummary:
    return train(
        task("train", end),  # type: ignore[arg-type]
        store=store,
        registry=registry,
        detector_name="ocsvm",
        training_seconds=3600,
        needed=TrainingWindows(100),
        now=NOON,
    )


def noise(n: int, level: float = 20.0, seed: int = 1) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(level, 1.0, n).tolist()
    return values


def test_a_refused_model_leaves_the_former_one_in_use_and_stays_visible() -> None:
    store, registry = FakeStore(), FakeRegistry()
    store.add(1, noise(720))
    store.add(2, noise(720))
    first = run(store, registry)
    later = NOON + timedelta(hours=1)
    store.add(1, noise(600) + noise(120, level=90), end=later)
    store.add(2, noise(720, seed=3), end=later)
    summary = run(store, registry, later)
    one, two = store.statuses[1], store.statuses[2]
    assert (one.state, one.trained_until, one.model_version) == ("stale", NOON, first.version)
    assert one.reason.startswith("fitted without its last 144 windows, it flags 85 % of them, more than the 50 %")
    assert (two.state, two.trained_until) == ("ready", later)
    (refused,) = refused_models(registry, 0)
    assert (refused.sensor_id, refused.detector, refused.reason) == (1, "ocsvm", one.reason)
    assert (refused.windows, refused.training_end) == (720, later)
    assert refused.expected_high is not None
    assert refused.expected_high > 85
    assert refused.params
    assert summary.states == {"stale": 1, "ready": 1}


def test_a_sensor_whose_first_model_is_refused_fails_with_the_reason() -> None:
    store, registry = FakeStore(), FakeRegistry()
    store.add(1, [float(i) for i in range(720)])
    run(store, registry)
    assert store.statuses[1].state == "failed"
    assert "it flags 100 %" in store.statuses[1].reason
    models = registry.load(registry.pointers[0])
    assert has_model(models).to_pylist() == [False]
    assert [each.sensor_id for each in refused_models(registry, 0)] == [1]


def test_a_refused_model_is_listed_until_its_sensor_gets_a_model() -> None:
    store, registry = FakeStore(), FakeRegistry()
    store.add(1, [float(i) for i in range(720)])
    store.add(2, noise(720))
    run(store, registry)
    later = NOON + timedelta(hours=1)
    store.add(2, noise(720, seed=2), end=later)
    run(store, registry, later)
    assert [each.sensor_id for each in refused_models(registry, 0)] == [1]
    latest = later + timedelta(hours=1)
    store.add(1, noise(720), end=latest)
    run(store, registry, latest)
    assert store.statuses[1].state == "ready"
    assert refused_models(registry, 0) == []
    assert refused_models(FakeRegistry(), 0) == []


def test_training_again_with_a_refused_model_changes_nothing() -> None:
    store, registry = FakeStore(), FakeRegistry()
    store.add(1, [float(i) for i in range(720)])
    first = run(store, registry)
    assert run(store, registry).version == first.version
    assert len(registry.files) == 1
