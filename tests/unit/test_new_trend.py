"""A sensor that a person said has a new trend is trained on what came after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from fakes_models import NOON, FakeRegistry, FakeStore, task

from sensorwatch.steps.chosen_detectors import TrainingWindows
from sensorwatch.steps.train import train


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
