"""The timer of machines through nights in which clocks change: every local time is due once, whatever fires twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from fakes.machines import FakeMachineData
from fakes.models import FakeRegistry
from fakes.scheduling import FakePool
from telemetry_memory import MemoryTelemetry, telemetry_in_memory

from sensorwatch.app import Product
from sensorwatch.errors import SettingsError, TransientError
from sensorwatch.machines.datasets import schema_of
from sensorwatch.machines.fleet import SIGNALS
from sensorwatch.machines.train import MACHINES_SHARD
from sensorwatch.models.records import ModelRef
from sensorwatch.settings import load_settings


class Machines:
    """Three shards of machines whose newest reading is an hour old at every tick, and a model."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.now = datetime(2026, 3, 28, 20, 20, tzinfo=UTC)
        self.pool, self.data, self.models = FakePool(lambda: self.now), FakeMachineData(1), FakeRegistry()
        self.trained(self.now)
        values = {
            "DATABASE_URL": f"sqlite:///{folder}/sensorwatch.db",
            "MAINTENANCE_TIME_ZONE": "Europe/Berlin",
            "MAINTENANCE_TIMES": "02:30 14:00",
            "TELEMETRY_EXPORTER": "file",
        }
        self.product = Product(load_settings(values | settings), lambda: self.now)
        self.product.__dict__["pool"] = self.pool
        self.product.machines.__dict__.update(data=self.data, models=self.models)

    def trained(self, time: datetime) -> None:
        """Have a model that was trained with data up to this time."""
        self.models.pointers[MACHINES_SHARD] = ModelRef(MACHINES_SHARD, "v1")
        self.models.manifests[ModelRef(MACHINES_SHARD, "v1")] = {"window_end": time.isoformat()}

    def report(self) -> None:
        """Store a reading of an hour ago of a machine in each of three shards."""
        reading = {"datetime": int(self.now.timestamp()) - 3600, **dict.fromkeys(SIGNALS, 1.0)}
        rows = [{"machineID": machine, **reading} for machine in (0, 1, 4)]
        self.data.add("telemetry", pa.Table.from_pylist(rows, schema_of("telemetry")))

    def tick(self, times: int = 1) -> list[str]:
        self.report()
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
    machines.now = datetime.fromisoformat(begin)
    machines.trained(machines.now)
    for _ in range(2 * 32):
        machines.tick(times=2)
        machines.now += timedelta(minutes=30)
    assert [run.run_id for run in machines.pool.runs.values()] == [f"machines-score-{moment}" for moment in expected]
    for run in machines.pool.runs.values():
        assert [task.shard for task in run.tasks] == [0, 1, 4]
        assert {task.end - (task.start or task.end) for task in run.tasks} == {timedelta(days=3)}


def test_a_model_is_trained_again_when_it_is_old_and_once_for_the_same_data(machines: Machines) -> None:
    machines.now += timedelta(days=7)
    assert machines.tick()[0] == "nothing is due"
    machines.now += timedelta(hours=1)
    first, _, again, _ = machines.tick(times=2)
    assert first == "submitted machines-train-20260404T202000Z with 1 task"
    assert again == "machines-train-20260404T202000Z was already submitted"


def test_a_pool_that_is_unreachable_gets_the_run_later_and_once(machines: Machines) -> None:
    machines.pool.away = True
    with pytest.raises(TransientError):
        machines.tick()
    machines.pool.away = False
    machines.tick(times=2)
    assert [run.run_id for run in machines.pool.runs.values()] == ["machines-score-20260328T130000Z"]


def test_nothing_is_submitted_with_a_configuration_that_has_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("machines: {components: [{tag: vibration, component: comp9}]}", encoding="utf-8")
    machines = Machines(tmp_path, CONFIGURATION_FILE=str(file))
    with pytest.raises(SettingsError, match=r"machines\.components\.0\.component: .*comp4"):
        machines.tick()
    assert machines.pool.runs == {}


def test_submissions_are_observed_like_those_of_sensors(machines: Machines, memory: MemoryTelemetry) -> None:
    machines.report()
    machines.product.machines.submit_due(past_due=True)
    (train,), (score,) = (memory.spans(f"submit {kind}") for kind in ("machines-train", "machines-score"))
    assert (train.attributes or {})["sensorwatch.run"] == ""
    assert (score.attributes or {})["sensorwatch.run"] == machines.pool.submissions[0]
    assert (score.attributes or {})["sensorwatch.tasks"] == 3
    (traceparent,) = machines.pool.traceparents
    assert f"{score.context.span_id:016x}" in (traceparent or "")
    machines.pool.away = True
    machines.now += timedelta(days=1)
    with pytest.raises(TransientError):
        machines.tick()
    missed = {kind: point.value for (name, kind), point in memory.points().items() if name.endswith("cycles.missed")}
    assert missed == {"machines-train": 1, "machines-score": 2}
