"""Models in real time: several rules in a batch, detectors that look back, and models that fail."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from local_stack import wait_until
from serving_cases import END, GROUP, LEVEL, SENSORS, Fleet, ingest_newer_windows

from sensorwatch.detectors.svm.one_class_svm import OneClassSvm
from sensorwatch.errors import TransientError
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.realtime.background import ServeBackground, store_statistics
from sensorwatch.realtime.records import ServingCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ALL = dict.fromkeys(range(SENSORS), LEVEL)
FAR = 200.0
TWO_RULES = """
serving:
  models:
    coarse: {detector: ocsvm_sklearn}
  rules:
    - {device: press-1, models: [own, coarse]}
"""


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    made: list[Fleet] = []

    def make(configuration: str = "", **options: float) -> Fleet:
        made.append(Fleet(tmp_path / str(len(made)), configuration, **options))
        return made[-1]

    yield make
    for fleet in made:
        fleet.dispose()


@pytest.fixture
def fleet(make_fleet: Callable[..., Fleet]) -> Fleet:
    fleet = make_fleet()
    fleet.train()
    return fleet


def test_sensors_of_one_batch_are_scored_by_the_models_of_their_rules(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet(TWO_RULES)
    fleet.train()
    fleet.train("coarse", "ocsvm_sklearn")
    serve, _ = fleet.serving()
    assert serve(GROUP, fleet.events(ALL | {1: FAR, 2: FAR}, after=1)).scored == SENSORS
    answers = {sensor: fleet.store.served_windows(sensor_id=sensor)[0].answers.keys() for sensor in (1, 2)}
    assert answers == {1: {"own", "coarse"}, 2: {"own"}}
    assert [sensor for sensor, _ in fleet.anomalies()] == [1, 2]
    uses = {use.model: use.uses for use in serve.statistics.take()[1]}
    assert uses == {"own": SENSORS, "coarse": 1}


def test_a_detector_that_looks_back_is_given_the_windows_before(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet()
    fleet.train(detector="ewma", needed=TrainingWindows(10))
    serve, _ = fleet.serving()
    for window in range(8):
        serve(GROUP, fleet.events({0: LEVEL}, after=1 + 5 * window))
    assert fleet.anomalies() == {}
    serve(GROUP, fleet.events({0: FAR}, after=41))
    (found,) = fleet.anomalies().values()
    assert found.value == FAR


def test_a_model_that_fails_leaves_its_readings_without_a_score(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serve, _ = fleet.serving()

    def fails(*_: object) -> None:
        raise ArithmeticError("no inverse")

    monkeypatch.setattr(OneClassSvm, "score", fails)
    assert serve(GROUP, fleet.events(ALL, after=1)) == ServingCounts(received=SENSORS, without_model=SENSORS)
    assert "model own (ocsvm) failed: no inverse" in caplog.text
    (use,) = serve.statistics.take()[1]
    assert (use.uses, use.failures) == (0, SENSORS)


def test_a_registry_that_cannot_be_reached_keeps_the_models_in_use(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serve, models = fleet.serving()

    def away(*_: object) -> None:
        raise TransientError("blob storage is away")

    monkeypatch.setattr(fleet.registries["own"], "pointer", away)
    assert models.refresh() == 0
    assert "model own, shard 0: cannot be read now, trying again later: blob storage is away" in caplog.text
    assert serve(GROUP, fleet.events({0: FAR}, after=1)) == ServingCounts(received=1, scored=1)


def test_a_process_that_starts_while_the_registry_is_away_serves_as_soon_as_it_is_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise TransientError("blob storage is away")

    with monkeypatch.context() as patch:
        patch.setattr(fleet.registries["own"], "pointer", away)
        serve, models = fleet.serving()
        assert serve(GROUP, fleet.events({0: LEVEL}, after=1)).without_model == 1
    assert models.refresh() == 1
    assert serve(GROUP, fleet.events({0: LEVEL}, after=2)).scored == 1


def test_a_process_that_starts_with_damaged_models_only_serves_nothing(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    registry = fleet.registries["own"]
    first = registry.pointers[0]
    ingest_newer_windows(fleet)
    fleet.train(end=END + timedelta(days=1))
    for ref in (first, registry.pointers[0]):
        registry.damage(ref)
    serve, models = fleet.serving()
    assert models.refresh() == 0
    assert serve(GROUP, fleet.events({0: FAR}, after=1)).without_model == 1
    assert "can't be read either" in caplog.text
    (refused,) = fleet.store.refused_versions()
    assert refused.version == registry.pointers[0].version


def test_statistics_that_could_not_be_stored_are_stored_the_next_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve, _ = fleet.serving()
    serve(GROUP, fleet.events(ALL, after=1))

    def away(*_: object) -> None:
        raise TransientError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(fleet.store, "add_serving", away)
        with pytest.raises(TransientError):
            store_statistics(serve, fleet.store, lambda: fleet.now)
    serve(GROUP, fleet.events(ALL, after=6))
    store_statistics(serve, fleet.store, lambda: fleet.now)
    (use,) = fleet.store.model_uses()
    assert (use.uses, use.latencies.count) == (2 * SENSORS, 2)
    (status,) = fleet.store.serving_status()
    assert status.counts == ServingCounts(received=2 * SENSORS, scored=2 * SENSORS)


def test_the_threads_behind_real_time_survive_errors(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    serve, models = fleet.serving()
    sent, calls = threading.Event(), []

    def notify() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("a sink is broken")
        sent.set()

    ServeBackground(serve, models, fleet.store, lambda: fleet.now, notify, 0.01).start()
    serve.alerts_changed.set()
    wait_until(lambda: "serve-alerts failed; trying again in 0.01 s" in caplog.text, "the error to be logged")
    serve.alerts_changed.set()
    assert sent.wait(10)
