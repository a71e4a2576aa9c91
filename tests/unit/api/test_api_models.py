"""The API: models with the way back, and cycles that were missed, over what the steps themselves stored."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from api_client import NOW, Api, as_problem

from sensorwatch.errors import ConflictError
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.models.training.detector_choice import TrainingWindows
from sensorwatch.models.training.train import train
from sensorwatch.tasks.records import Run, TaskSpec

pytest_plugins = ["api_fixtures"]

LATER = NOW + timedelta(hours=1)
WINDOWS = 200


def ingest(api: Api, end: datetime, seed: int) -> None:
    """Store windows of the first sensor, the last of which ends at ``end``."""
    last = int(end.timestamp())
    values = np.random.default_rng(seed).normal(20.0, 1.0, WINDOWS)
    windows = [
        Window(0, last - 5 * (WINDOWS - 1 - i), 1, value, value, value, value * value)
        for i, value in enumerate(values.tolist())
    ]
    partition = Partition("readings", "$Default", "0")
    mark, counts = OffsetCheckpoint(seed * WINDOWS, end), IngestCounts(WINDOWS, WINDOWS, 0, 0, 0)
    api.product.store.commit_ingest(partition, api.product.store.offset_checkpoint(partition), mark, windows, counts)


def run(kind: str, end: datetime) -> tuple[str, TaskSpec]:
    name = f"{kind}-{end:%Y%m%dT%H%M%SZ}"
    return name, TaskSpec(name, f"{kind}-000000", "train" if kind == "train" else "score", 0, None, end)


def train_at(api: Api, end: datetime) -> str:
    """Train the shard; return the version."""
    summary = train(
        run("train", end)[1],
        store=api.product.store,
        registry=api.registry,
        detector_name="range",
        training_seconds=3600,
        needed=TrainingWindows(100),
        now=end,
    )
    return str(summary.version)


def trained_twice(api: Api) -> tuple[str, str]:
    """Ingest and train, and again an hour later; return both versions."""
    api.add_sensors(("press", "heat"))
    ingest(api, NOW, 1)
    first = train_at(api, NOW)
    ingest(api, LATER, 2)
    return first, train_at(api, LATER)


def test_a_rollback_puts_the_older_models_in_use_and_can_be_done_again(api: Api) -> None:
    first, second = trained_twice(api)
    assert [(each["version"], each["current"]) for each in api.get("/api/models/0/versions")["items"]] == [
        (second, True),
        (first, False),
    ]
    for _ in range(2):
        answer = api.post("/api/models/0/rollback", {"version": first})
        assert (answer.status_code, answer.json()["current_version"], answer.json()["versions"]) == (200, first, 2)
    (shard,) = api.get("/api/models")["items"]
    assert shard == answer.json()
    sensor = api.get("/api/sensors/0")
    assert (sensor["model_version"], sensor["state"]) == (first, "ready")
    models = {each["version"]: each for each in api.get("/api/sensors/0/models")["items"]}
    assert (models[first]["current"], models[second]["current"]) == (True, False)
    assert api.get("/api/sensors/0/windows")["expected_low"][0] == pytest.approx(17, abs=3)
    assert api.post("/api/models/0/rollback", {"version": second}).json()["current_version"] == second


def test_a_rollback_that_can_not_be_done_changes_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = trained_twice(api)
    missing = "20200101T000000Z-0123456789abcdef"
    assert missing in as_problem(api.post("/api/models/0/rollback", {"version": missing}), 404)["detail"]
    as_problem(api.post("/api/models/7/rollback", {"version": first}), 404)
    as_problem(api.post("/api/models/0/rollback", {"version": "newest"}), 400)
    as_problem(api.post("/api/models/0/rollback", {}), 400)

    def moved(*_: object) -> None:
        raise ConflictError("the pointer has moved")

    with monkeypatch.context() as at_this_moment:
        at_this_moment.setattr(api.registry, "point", moved)
        as_problem(api.post("/api/models/0/rollback", {"version": first}), 409)
    (damaged,) = (ref for ref in api.registry.versions(0) if ref.version == first)
    api.registry.damage(damaged)
    as_problem(api.post("/api/models/0/rollback", {"version": first}), 500)
    (shard,) = api.get("/api/models")["items"]
    assert shard["current_version"] == second == api.get("/api/sensors/0")["model_version"]


def missed(api: Api) -> dict[str, datetime]:
    """The cycles that health tells of, with when they were due."""
    return {each["kind"]: datetime.fromisoformat(each["due_at"]) for each in api.get("/api/health")["missed_cycles"]}


def test_health_reports_a_cycle_that_was_due_and_planned_nothing(api: Api) -> None:
    api.add_sensors(("press", "heat"))
    assert missed(api) == {}
    ingest(api, NOW, 1)
    train_at(api, NOW - timedelta(minutes=5))
    api.clock.turn(86_400)
    ingest(api, api.clock(), 2)
    due = missed(api)
    assert set(due) == {"train", "score"}
    for kind in ("train", "score"):
        assert NOW < due[kind] <= api.clock() - timedelta(minutes=1)
        name, task = run(kind, due[kind])
        api.product.store.begin_run(Run(name, task.kind, due[kind], (task,)), api.clock())
        del due[kind]
        assert missed(api) == due
