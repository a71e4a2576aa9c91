from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fakes.models import NOON, FakeRegistry, FakeStore, task

from sensorwatch.config.file import parse_configuration
from sensorwatch.errors import ConflictError, InvalidInputError
from sensorwatch.models.records import ModelRef
from sensorwatch.models.table import specifications
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import TrainSummary, train
from sensorwatch.sensors.downtime import DowntimePlan
from sensorwatch.sensors.records import ReportingProfile

if TYPE_CHECKING:
    import pyarrow as pa


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


def noise(n: int, level: float = 20.0, seed: int = 1) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(level, 1.0, n).tolist()
    return values


def run(store: FakeStore, registry: FakeRegistry, end: datetime = NOON, **options: object) -> TrainSummary:
    arguments: dict[str, object] = {"detector_name": "ocsvm", "training_seconds": 3600, "needed": TrainingWindows(100)}
    return train(
        task("train", end),
        store=store,
        registry=registry,
        now=end,
        **(arguments | options),  # type: ignore[arg-type]
    )


def current_rows(registry: FakeRegistry) -> dict[int, dict[str, object]]:
    models: pa.Table = registry.load(registry.pointers[0])
    return {row["sensor_id"]: row for row in models.to_pylist()}


def test_a_sensor_with_enough_windows_becomes_ready(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    summary = run(store, registry)
    status = store.statuses[1]
    assert (status.state, status.reason, status.trained_until) == ("ready", "", NOON)
    assert status.model_version == registry.pointers[0].version == summary.version
    assert (summary.trained, summary.windows, summary.states) == (1, 300, {"ready": 1})
    row = current_rows(registry)[1]
    assert row["expected_low"] == pytest.approx(min(noise(300)))
    assert row["expected_high"] == pytest.approx(max(noise(300)))


def test_a_sensor_with_too_few_windows_is_warming(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(63))
    run(store, registry)
    status = store.statuses[1]
    assert (status.state, status.reason, status.trained_until) == ("warming", "63 of 100 windows", None)


def test_a_stand_in_scores_while_a_sensor_is_warming(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(63))
    store.add(2, noise(19))
    store.add(3, noise(63))
    rule = "detectors: [{device: device-3, detector: ocsvm, warming: none}]"
    needed = TrainingWindows(100, 20, "range")
    run(store, registry, needed=needed, configuration=parse_configuration(rule, "test"))
    rows = current_rows(registry)
    assert [(rows[i]["state"], rows[i]["reason"]) for i in (1, 2, 3)] == [
        ("warming", f"{n} of 100 windows") for n in (63, 19, 63)
    ]
    assert [rows[i]["training_end"] is None for i in (1, 2, 3)] == [False, True, True]
    assert (rows[1]["detector"], rows[1]["expected_high"]) == ("range", pytest.approx(max(noise(63))))
    later = NOON + timedelta(minutes=30)
    store.add(1, noise(300), end=later)
    run(store, registry, later, needed=needed)
    assert (store.statuses[1].state, current_rows(registry)[1]["detector"]) == ("ready", "ocsvm")


@pytest.mark.parametrize("detector", ["ewma", "auto"])
def test_looking_again_at_what_can_not_be_trained_makes_no_version(
    store: FakeStore, registry: FakeRegistry, detector: str
) -> None:
    """The models of the others have no range: nothing in their rows may be unequal to itself."""
    store.add(1, noise(300))
    store.add(2, noise(5))
    versions = {run(store, registry, detector_name=detector).version for _ in range(2)}
    assert len(versions) == len(registry.versions()) == 1


def test_a_bad_sensor_fails_alone_with_its_reason(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, [1e308, -1e308] * 60)
    store.add(2, noise(300))
    store.register(3)
    run(store, registry)
    assert store.statuses[1].state == "failed"
    assert "double precision" in store.statuses[1].reason
    assert store.statuses[2].state == "ready"
    assert (store.statuses[3].state, store.statuses[3].reason) == ("no-data", "no windows yet")


def test_windows_without_a_finite_value_do_not_count(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, [float("nan")] * 60 + noise(63))
    run(store, registry)
    assert store.statuses[1].reason == "63 of 100 windows"


def test_only_the_last_stretch_up_to_the_newest_window_is_used(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, [1000.0] * 50 + noise(720))
    store.add(2, noise(720), end=NOON - timedelta(minutes=20))
    run(store, registry)
    rows = current_rows(registry)
    assert rows[1]["windows"] == rows[2]["windows"] == 720
    assert rows[2]["training_end"] == (NOON - timedelta(minutes=20)).timestamp()
    assert rows[1]["expected_high"] == pytest.approx(max(noise(720)))


def test_windows_after_the_tasks_end_are_not_used(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300) + [500.0] * 20, end=NOON + timedelta(seconds=100))
    run(store, registry)
    assert store.statuses[1].trained_until == NOON
    assert current_rows(registry)[1]["expected_high"] == pytest.approx(max(noise(300)))


def test_sensors_that_live_in_different_times_are_read_once_each(store: FakeStore, registry: FakeRegistry) -> None:
    years_ago = datetime(2018, 8, 29, tzinfo=NOON.tzinfo)
    for sensor_id in (1, 2):
        store.add(sensor_id, noise(300, seed=sensor_id), end=years_ago)
        store.add(sensor_id + 10, noise(300, seed=sensor_id))
    run(store, registry)
    assert [end for _, end in store.reads] == [years_ago, NOON]
    assert {status.state for status in store.statuses.values()} == {"ready"}


def test_the_same_task_again_changes_nothing(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    store.add(2, noise(40))
    store.add(3, [1e308, -1e308] * 60)
    first = run(store, registry)
    outcomes = len(store.outcomes)
    second = run(store, registry)
    assert second.version == first.version
    assert list(registry.files) == [registry.pointers[0]]
    assert len(store.outcomes) == outcomes


def test_a_crash_before_the_states_were_recorded_is_made_good(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    untouched = dict(store.statuses)
    run(store, registry)
    store.statuses = untouched
    run(store, registry)
    assert store.statuses[1].state == "ready"
    assert len(registry.files) == 1


def test_a_crash_between_storing_and_pointing_gives_the_same_version_again(
    store: FakeStore, registry: FakeRegistry
) -> None:
    store.add(1, noise(300))
    first = run(store, registry)
    registry.pointers.clear()
    assert run(store, registry).version == first.version
    assert len(registry.files) == 1


def test_sensors_without_new_windows_keep_their_model_and_its_version(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    store.add(2, noise(300))
    first = run(store, registry)
    later = NOON + timedelta(hours=1)
    store.add(2, noise(300, seed=9), end=later)
    second = run(store, registry, later)
    rows = current_rows(registry)
    assert (rows[1]["version"], rows[2]["version"]) == (first.version, second.version)
    assert second.version != first.version
    assert second.trained == 1


def test_retraining_carries_the_end_of_the_first_training(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    run(store, registry)
    later = NOON + timedelta(hours=1)
    store.add(1, noise(300, seed=9), end=later)
    run(store, registry, later)
    row = current_rows(registry)[1]
    assert row["first_training_end"] == NOON.timestamp()
    assert row["training_end"] == later.timestamp()


def test_a_model_is_kept_as_stale_when_there_is_too_little_to_train_it_again(
    store: FakeStore, registry: FakeRegistry
) -> None:
    store.add(1, noise(300))
    first = run(store, registry)
    later = NOON + timedelta(hours=5)
    store.add(1, noise(7), end=later)
    run(store, registry, later)
    status = store.statuses[1]
    assert (status.state, status.reason) == ("stale", "7 of 100 windows")
    assert (status.trained_until, status.model_version) == (NOON, first.version)


def test_an_old_task_that_runs_late_does_not_bring_back_old_models(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    later = NOON + timedelta(hours=1)
    store.add(1, noise(300, seed=9), end=later)
    newer = run(store, registry, later)
    assert run(store, registry, NOON).version == newer.version


def test_another_tasks_models_are_merged_in(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    store.add(2, noise(300))
    other = FakeStore()
    other.add(2, noise(300))
    other.register(2)

    def interfere() -> None:
        run(other, registry)

    registry.before_publish = interfere
    run(store, registry)
    rows = current_rows(registry)
    assert sorted(rows) == [1, 2]
    assert rows[2]["version"] != rows[1]["version"] == registry.pointers[0].version


def test_a_pointer_that_never_stands_still_is_reported(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))

    tries = iter(range(100))

    def interfere() -> None:
        registry.pointers[0] = ModelRef(0, f"20200101T000000Z-{next(tries):016}")
        registry.before_publish = interfere

    registry.before_publish = interfere
    with pytest.raises(ConflictError, match="during each of 5 tries; try again later"):
        run(store, registry)


def test_damaged_models_are_replaced_from_the_version_before(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    store.add(2, noise(300))
    first = run(store, registry)
    later = NOON + timedelta(hours=1)
    store.add(2, noise(300, seed=9), end=later)
    run(store, registry, later)
    registry.damage(registry.pointers[0])
    latest = later + timedelta(hours=1)
    store.add(2, noise(300, seed=10), end=latest)
    summary = run(store, registry, latest)
    assert "SHA-256" in summary.problem
    assert "used an older version" in str(summary)
    rows = current_rows(registry)
    assert (rows[1]["version"], rows[2]["version"]) == (first.version, summary.version)
    assert run(store, registry, latest).problem == ""


def test_the_manifest_says_where_the_models_come_from(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    store.add(2, noise(63))
    run(store, registry)
    manifest = registry.manifests[registry.pointers[0]]
    assert manifest["rows"] == 2
    assert manifest["states"] == {"ready": 1, "warming": 1}
    assert manifest["detectors"] == {"ocsvm": 1}
    assert manifest["training_end"] == NOON.isoformat()
    assert set(manifest["versions"]) == {"python", "sensorwatch", "numpy", "pyarrow", "scikit-learn"}  # type: ignore[call-overload]


def test_an_unknown_detector_is_named_with_those_that_exist(store: FakeStore, registry: FakeRegistry) -> None:
    with pytest.raises(InvalidInputError, match=r"`nonsense`; expected one of .*ocsvm, ocsvm_sklearn, .*: .*DETECTOR"):
        run(store, registry, detector_name="nonsense")


def test_a_shard_without_sensors_has_no_models(store: FakeStore, registry: FakeRegistry) -> None:
    summary = run(store, registry)
    assert summary.version is None
    assert str(summary) == "shard 0: trained 0 sensors on 0 windows; no sensors; no models"


def test_many_sensors_are_worked_on_in_parts(
    store: FakeStore, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sensor_id in range(1, 8):
        store.add(sensor_id, noise(150, seed=sensor_id))
    run(store, registry)
    whole = registry.load(registry.pointers[0]).drop_columns(["version"])
    monkeypatch.setattr("sensorwatch.models.training.sensor_windows._BATCH_VALUES", 320)
    in_parts = FakeRegistry()
    run(store, in_parts)
    assert in_parts.load(in_parts.pointers[0]).drop_columns(["version"]).equals(whole)


FOREST = "detectors: [{tag: temp*, device: device-1, estimator: sklearn.ensemble.IsolationForest, parameters: {%s}}]"


def test_sensors_of_one_shard_get_the_detectors_that_the_rules_name(store: FakeStore, registry: FakeRegistry) -> None:
    for sensor_id in (1, 2, 3):
        store.add(sensor_id, noise(300, seed=sensor_id))
    rules = "  - {device: device-2, detector: ocsvm_sklearn}"
    forest = "detectors:\n  - {device: device-1, estimator: sklearn.ensemble.IsolationForest}\n"
    summary = run(store, registry, configuration=parse_configuration(forest + rules, "test"))
    rows = current_rows(registry)
    assert [rows[i]["detector"] for i in (1, 2, 3)] == ["sklearn", "ocsvm_sklearn", "ocsvm"]
    assert (summary.trained, summary.windows, summary.states) == (3, 900, {"ready": 3})
    assert specifications(registry.load(registry.pointers[0])) == [
        '{"steps":[{"estimator":"sklearn.ensemble.IsolationForest","parameters":{}}]}',
        "{}",
        "{}",
    ]
    alone = FakeRegistry()
    run(store, alone)
    assert current_rows(alone)[3]["params_ocsvm"] == rows[3]["params_ocsvm"]


def test_one_estimator_with_two_sets_of_parameters_is_two_detectors(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    store.add(2, noise(300))
    rule = "- {device: device-%s, estimator: sklearn.ensemble.IsolationForest, parameters: {n_estimators: %s}}\n"
    text = "detectors:\n" + rule % (1, 3) + rule % (2, 5)
    run(store, registry, configuration=parse_configuration(text, "test"))
    first, second = specifications(registry.load(registry.pointers[0]))
    assert '"n_estimators":3' in first
    assert '"n_estimators":5' in second


def test_an_estimator_that_does_not_work_fails_its_sensors_alone(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    store.add(2, noise(300))
    run(store, registry, configuration=parse_configuration(FOREST % "contamination: 7", "test"))
    assert store.statuses[1].state == "failed"
    assert "InvalidParameterError" in store.statuses[1].reason
    assert store.statuses[2].state == "ready"


def test_a_refused_estimator_stays_in_the_manifest(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300) + noise(300, level=90))
    svm = "detectors: [{estimator: sklearn.svm.OneClassSVM, parameters: {nu: 0.9}}]"
    run(store, registry, configuration=parse_configuration(svm, "test"))
    assert store.statuses[1].state == "failed"
    entries = registry.manifests[registry.pointers[0]]["refused"]
    assert isinstance(entries, list)
    assert [entry["detector"] for entry in json.loads(json.dumps(entries))] == ["sklearn"]


def test_windows_measured_under_maintenance_train_no_model(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, [*noise(150), *[900.0] * 60, *noise(90, seed=2)])
    store.add(2, [*noise(150), *[900.0] * 60, *noise(90, seed=2)])
    start = NOON - timedelta(seconds=150 * 5)
    period = f"from: {start.isoformat()}, to: {(start + timedelta(seconds=300)).isoformat()}"
    device = store.statuses[1].key.device
    plan = parse_configuration(f"maintenance: [{{device: '{device}', {period}}}]", "f").downtimes
    run(store, registry, downtime=DowntimePlan(plan, 5))
    rows = current_rows(registry)
    assert [rows[1]["windows"], rows[2]["windows"]] == [240, 300]
    assert rows[1]["expected_high"] == pytest.approx(max([*noise(150), *noise(90, seed=2)]))


def test_a_sensor_that_was_under_maintenance_all_the_time_waits(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    day = f"from: {(NOON - timedelta(days=1)).isoformat()}, to: {(NOON + timedelta(days=1)).isoformat()}"
    plan = DowntimePlan(parse_configuration(f"maintenance: [{{{day}}}]", "f").downtimes, 5)
    assert run(store, registry, downtime=plan).trained == 0
    assert store.statuses[1].state == "no-data"
    assert run(store, registry).trained == 1


def test_training_notes_how_a_sensor_usually_reports(store: FakeStore, registry: FakeRegistry) -> None:
    store.add(1, noise(300))
    store.add(2, [1.0] * 10 + [2.0] * 300)
    store.add(3, [4.0] * 300)
    run(store, registry)
    assert store.reporting_profiles == {
        1: ReportingProfile(1, 5, 0, 5),
        2: ReportingProfile(2, 5, 5 * 299, 5),
        3: ReportingProfile(3, 5, None, 5),
    }
