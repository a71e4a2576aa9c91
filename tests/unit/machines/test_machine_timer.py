"""The timer of machines through nights in which clocks change: every local time is due once, whatever fires twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from telemetry_memory import MemoryTelemetry, telemetry_in_memory

from sensorwatch.app import Product
from sensorwatch.errors import SettingsError, TransientError
from sensorwatch.models.records import ModelRef
from sensorwatch.settings import load_settings
from sensorwatch.tasks.records import Run
from sensorwatch.telemetry import current_traceparent


class Pool:
    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.traceparents: list[str | None] = []
        self.away = False

    def submit(self, run: Run) -> None:
        if self.away:
            raise TransientError("the pool is away")
        self.traceparents.append(current_traceparent())
        self.runs.append(run)


class Machines:
    """Three shards of machines whose newest reading is an hour old, and a model; both follow the clock."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.now = datetime(2026, 3, 28, 20, 20, tzinfo=UTC)
        self.trained_at = self.now
        self.pool = Pool()
        values = {
            "DATABASE_URL": f"sqlite:///{folder}/sensorwatch.db",
            "MAINTENANCE_TIME_ZONE": "Europe/Berlin",
            "MAINTENANCE_TIMES": "02:30 14:00",
            "TELEMETRY_EXPORTER": "file",
        }
        self.product = Product(load_settings(values | settings), lambda: self.now)
        self.product.__dict__["pool"] = self.pool
        self.product.machines.__dict__.update(
            data=SimpleNamespace(newest=self.newest, shards=lambda: [0, 1, 4]),
            models=SimpleNamespace(
                current=lambda shard: ModelRef(shard, "v1"),
                manifest=lambda _: {"window_end": self.trained_at.isoformat()},
            ),
        )

    def newest(self) -> int:
        return int((self.now - timedelta(hours=1)).timestamp())

    def tick(self, times: int = 1) -> list[str]:
        return [str(each) for _ in range(times) for each in self.product.machines.submit_due()]


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    return Machines(tmp_path)


@pytest.fixture
def memory() -> Iterator[MemoryTelemetry]:
    with telemetry_in_memory() as recorded:
        yield recorded


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        # 02:30 is skipped in spring, and taken at 03:30 by summer time.
        ("2026-03-28T20:20Z", ["20260328T130000Z", "20260329T013000Z", "20260329T120000Z", "20260330T003000Z"]),
        # It is there twice in autumn, and due at the first.
        ("2026-10-24T20:20Z", ["20261024T120000Z", "20261025T003000Z", "20261025T130000Z", "20261026T013000Z"]),
    ],
)
def test_each_local_time_is_due_once_a_day_though_the_timer_fires_twice_an_hour(
    machines: Machines, begin: str, expected: list[str]
) -> None:
    machines.now = machines.trained_at = datetime.fromisoformat(begin)
    for _ in range(2 * 32):
        machines.tick(times=2)
        machines.now += timedelta(minutes=30)
    assert [run.run_id for run in machines.pool.runs] == [f"machines-score-{moment}" for moment in expected]
    for run in machines.pool.runs:
        assert [task.shard for task in run.tasks] == [0, 1, 4]
        assert {task.end - (task.start or task.end) for task in run.tasks} == {timedelta(days=3)}


def test_a_model_is_trained_anew_when_it_is_old_and_once_for_the_same_data(machines: Machines) -> None:
    machines.now += timedelta(days=7)
    assert machines.tick()[0] == "nothing is due"
    machines.now += timedelta(hours=1)
    first, _, again, _ = machines.tick(times=2)
    assert first == "submitted machines-train-20260404T202000Z with 1 task"
    assert again == "machines-train-20260404T202000Z was already submitted"


def test_a_pool_that_is_away_gets_the_run_later_and_once(machines: Machines) -> None:
    machines.pool.away = True
    with pytest.raises(TransientError):
        machines.tick()
    machines.pool.away = False
    machines.tick(times=2)
    assert [run.run_id for run in machines.pool.runs] == ["machines-score-20260328T130000Z"]


def test_nothing_is_submitted_with_a_configuration_that_has_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("machines: {components: [{tag: vibration, component: comp9}]}", encoding="utf-8")
    machines = Machines(tmp_path, CONFIGURATION_FILE=str(file))
    with pytest.raises(SettingsError, match=r"machines\.components\.0\.component: .*comp4"):
        machines.tick()
    assert machines.pool.runs == []


def test_submissions_are_observed_like_those_of_sensors(machines: Machines, memory: MemoryTelemetry) -> None:
    machines.product.machines.submit_due(past_due=True)
    (train,), (score,) = (memory.spans(f"submit {kind}") for kind in ("machines-train", "machines-score"))
    assert (train.attributes or {})["sensorwatch.run"] == ""
    assert (score.attributes or {})["sensorwatch.run"] == machines.pool.runs[0].run_id
    assert (score.attributes or {})["sensorwatch.tasks"] == 3
    (traceparent,) = machines.pool.traceparents
    assert f"{score.context.span_id:016x}" in (traceparent or "")
    machines.pool.away = True
    machines.now += timedelta(days=1)
    with pytest.raises(TransientError):
        machines.tick()
    missed = {kind: point.value for (name, kind), point in memory.points().items() if name.endswith("cycles.missed")}
    assert missed == {"machines-train": 1, "machines-score": 2}
