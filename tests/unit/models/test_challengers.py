"""Challengers are trained for the sensors whose rule names them, and leave the sensors' stored state alone."""

from __future__ import annotations

from functools import partial

import numpy as np
from fakes.models import NOON, FakeRegistry, FakeStore, task

from sensorwatch.config.file import parse_configuration
from sensorwatch.models.training.challengers import train_challengers
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import TrainSummary, train

SERVING = """
serving:
  models:
    quick: {detector: range}
    unused: {detector: ewma}
  rules:
    - {device: device-1, models: [own, quick]}
    - {device: device-2, models: [own]}
"""


def test_only_sensors_whose_rule_names_a_challenger_get_it() -> None:
    store, registries = FakeStore(), {"quick": FakeRegistry(), "unused": FakeRegistry()}
    for sensor_id in (1, 2):
        store.add(sensor_id, np.random.default_rng(sensor_id).normal(20, 1, 300).tolist())
    before = dict(store.statuses)
    summaries = train_challengers(
        task("train"),
        store=store,
        registry=registries.__getitem__,
        configuration=parse_configuration(SERVING, "test"),
        train=partial(train, training_seconds=3600, needed=TrainingWindows(100), now=NOON),
    )
    assert list(summaries) == ["quick"]
    assert (summaries["quick"].trained, summaries["quick"].states) == (1, {"ready": 1})
    models = registries["quick"].load(registries["quick"].pointers[0])
    assert models.select(["sensor_id", "detector"]).to_pylist() == [{"sensor_id": 1, "detector": "range"}]
    assert not registries["unused"].pointers
    assert (store.statuses, store.outcomes, store.reporting_profiles) == (before, [], {})


def test_the_summary_of_a_task_has_a_line_for_each_challenger() -> None:
    challenger = TrainSummary(0, "v2", 1, 300, {"ready": 1}, "")
    primary = TrainSummary(0, "v1", 2, 600, {"ready": 2}, "", {"quick": challenger})
    assert str(primary).splitlines() == [
        "shard 0: trained 2 sensors on 600 windows; 2 ready; version v1",
        "model quick, shard 0: trained 1 sensors on 300 windows; 1 ready; version v2",
    ]
