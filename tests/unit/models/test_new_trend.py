"""A sensor that a person said has a new trend is trained on what came after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from fakes.models import NOON, FakeCheckpoints, FakeRegistry, FakeStore, task
from fakes.tasks import FakePredictionFiles

from sensorwatch.models.scoring.score import score
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.tasks.prediction_schema import ANOMALOUS


def values(level: float) -> list[float]:
    found: list[float] = np.random.default_rng(1).normal(level, 1.0, 200).tolist()
    return found


@pytest.mark.parametrize(("windows_since", "state"), [(200, "ready"), (50, "warming")])
def test_windows_before_the_trend_are_not_trained_on(windows_since: int, state: str) -> None:
    store, registry = FakeStore(), FakeRegistry()
    store.add(1, values(20.0) + values(60.0))
    store.add(2, values(20.0) + values(60.0))
    began = NOON - timedelta(seconds=5 * windows_since)
    store.statuses[1] = replace(store.statuses[1], train_from=began)
    train(
        task("train", NOON),
        store=store,
        registry=registry,
        detector_name="ocsvm",
        training_seconds=3600,
        needed=TrainingWindows(100),
        now=NOON,
    )
    own, other = registry.load(registry.pointers[0]).to_pylist()
    assert (own["state"], own["windows"]) == (state, windows_since)
    assert (other["state"], other["windows"]) == ("ready", 400)
    if state == "ready":
        assert own["expected_low"] > 50 > other["expected_low"]
        assert (own["training_start"], own["training_end"]) == (began.timestamp(), NOON.timestamp())


@pytest.mark.parametrize("told", [True, False])
def test_a_new_level_is_normal_to_auto_as_soon_as_a_person_confirms_it(told: bool) -> None:
    store, registry = FakeStore(), FakeRegistry()
    files, checkpoints = FakePredictionFiles(), FakeCheckpoints()

    def trained(end: datetime) -> None:
        train(
            task("train", end),
            store=store,
            registry=registry,
            detector_name="auto",
            training_seconds=7200,
            needed=TrainingWindows(100),
            now=end,
        )

    def anomalous(start: datetime, end: datetime) -> float:
        given = task("score", end, start)
        done = score(given, store=store, registry=registry, predictions=files, checkpoints=checkpoints)
        assert done.file is not None
        return float(np.mean(np.array(files.read(done.file)["prediction"]) == ANOMALOUS))

    quarter = timedelta(seconds=5 * 200)
    store.add(1, values(20.0) + values(20.0))
    trained(NOON)
    store.add(1, values(60.0), end=NOON + quarter)
    assert anomalous(NOON, NOON + quarter) > 0.9
    if told:
        store.statuses[1] = replace(store.statuses[1], train_from=NOON)
        trained(NOON + quarter)
    store.add(1, np.random.default_rng(2).normal(60.0, 1.0, 200).tolist(), end=NOON + 2 * quarter)
    found = anomalous(NOON + quarter, NOON + 2 * quarter)
    assert found < 0.02 if told else found > 0.9
