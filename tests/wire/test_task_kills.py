"""Tasks are killed at any moment: after the retry nothing is missing and nothing is doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from sensorwatch.app import Product
from sensorwatch.ingestion.records import IngestCounts, OffsetCheckpoint, Partition, Window
from sensorwatch.sensors.records import SensorKey
from sensorwatch.tasks.records import Kind, Run, TaskSpec, task_id

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(300)]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PARTITION = Partition("readings", "$Default", "0")
SENSORS = 40
NEWCOMER = SENSORS
ROUNDS = 4
KILLS_PER_TASK = 3
"""Of each of the seven tasks: 21 in all."""


def settings(azurite: str, database: Path) -> dict[str, str]:
    suffix = uuid.uuid4().hex[:8]
    return {
        "DATABASE_URL": f"sqlite:///{database}",
        "AzureWebJobsStorage": azurite,
        "TRAINING_SECONDS": "3600",
        "MODELS_CONTAINER": f"models-{suffix}",
        "PREDICTIONS_CONTAINER": f"predictions-{suffix}",
        "DEAD_LETTERS_CONTAINER": f"dead-letters-{suffix}",
        "TASK_LOGS_CONTAINER": f"task-logs-{suffix}",
    }


@contextmanager
def product(environment: dict[str, str]) -> Iterator[Product]:
    product = Product.from_environment(environment)
    product.prepare(pool=False)
    yield product
    product.store.dispose()


def end_of(number: int) -> datetime:
    return NOON + timedelta(minutes=10 * number)


def value_of(sensor: int, end: int) -> float:
    """A sensor's value: mostly noise; one is constant, one can't be modelled, one is hardly there."""
    if sensor == 1:
        return 5.0
    if sensor == 2:
        return 1e308 if end % 2 else -1e308
    return random.Random(f"{sensor} {end}").gauss(20 + sensor, 1)


def ingest(product: Product, number: int) -> None:
    """Store the windows of a round, with some late ones that change windows of the round before."""
    store = product.store
    store.sensor_ids([SensorKey(f"device-{i}", "flow") for i in range(SENSORS + (number > 0))])
    last = int(end_of(number).timestamp())
    ends = range(last - (3595 if number == 0 else 595), last + 1, 5)
    sensors = range(SENSORS if number == 0 else SENSORS + 1)
    windows = [
        window(sensor, end, value_of(sensor, end))
        for end in ends
        for sensor in sensors
        if sensor != 3 or end in ends[:2]
    ]
    late = [window(sensor, last - 700, 999.0) for sensor in (5, 6, 7)] if number > 1 else []
    counts = IngestCounts(len(windows) + len(late), len(windows) + len(late), 0, 0, 0)
    store.commit_ingest(
        PARTITION,
        store.offset_checkpoint(PARTITION),
        OffsetCheckpoint(number + 1, end_of(number)),
        [*late, *windows],
        counts,
    )


def window(sensor: int, end: int, value: float) -> Window:
    return Window(sensor, end, 1, value, value, value, min(value * value, 1e308))


def begin(product: Product, kind: Kind, number: int, end: datetime) -> TaskSpec:
    """Plan a task as the planner would."""
    (activity,) = product.store.shard_activity()
    start = activity.scored_until if kind == "score" else None
    task = TaskSpec(f"{kind}-{number}", task_id(kind, 0), kind, 0, start, end)
    assert product.store.begin_run(Run(task.run_id, kind, end, (task,)), end)
    return task


def start(task: TaskSpec, environment: dict[str, str]) -> subprocess.Popen[str]:
    bounds = ["--end", task.end.isoformat(), *(["--start", task.start.isoformat()] if task.start else [])]
    command = [sys.executable, "-m", f"batch_tasks.{task.kind}", "--run", task.run_id, "--shard", "0", *bounds]
    return subprocess.Popen(
        command,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(task: TaskSpec, environment: dict[str, str]) -> float:
    """Let a task end; return the seconds that it took."""
    begun = time.monotonic()
    process = start(task, environment)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return time.monotonic() - begun


def kill(task: TaskSpec, environment: dict[str, str], after: float) -> bool:
    """Start a task and kill it after so many seconds; return whether it still ran then."""
    process = start(task, environment)
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


def stored(product: Product) -> dict[str, list[tuple[object, ...]]]:
    """Return what tasks have left in the database."""
    tables = {
        "Sensors": "SensorId, State, Reason, TrainedUntil, ModelVersion",
        "RescoreWindows": "Shard, TS, SensorId, Readings",
        "ShardScoring": "Shard, PlannedUntil, ScoredUntil",
    }
    engine = sa.create_engine(product.settings.database_url.get_secret_value())
    with engine.connect() as connection:
        found = {
            table: [tuple(row) for row in connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3")]
            for table, columns in tables.items()
        }
    engine.dispose()
    return found


def test_tasks_killed_at_random_moments_leave_what_unbroken_ones_leave(azurite: str, tmp_path: Path) -> None:
    chance, kills = random.Random(20261121), 0
    environment, other = (settings(azurite, tmp_path / name) for name in ("killed.db", "unbroken.db"))
    with product(environment) as killed, product(other) as unbroken:
        for number in range(ROUNDS):
            for each in (killed, unbroken):
                ingest(each, number)
            # Scoring comes first: so the newcomer's first model is late for windows that were scored already.
            kinds: list[tuple[Kind, datetime]] = [("train", end_of(number) - timedelta(minutes=2 * (number > 0)))]
            for kind, end in [("score", end_of(number)), *kinds] if number else kinds:
                task = begin(killed, kind, number, end)
                assert begin(unbroken, kind, number, end) == task
                seconds = finish(task, other)
                for _ in range(KILLS_PER_TASK):
                    # The first third of a task's life goes by with imports. One that ended before is done again.
                    while not kill(task, environment, chance.uniform(0.3, 1.0) * seconds):
                        seconds *= 0.9
                    kills += 1
                finish(task, environment)
                assert stored(killed) == stored(unbroken), f"after {task.run_id}"

        assert kills == 21
        states = {status.sensor_id: status.state for status in killed.store.sensors()}
        assert (states[0], states[1], states[2], states[3], states[NEWCOMER]) == (
            "ready",
            "ready",
            "failed",
            "warming",
            "ready",
        )
        reference = unbroken.models.load(unbroken.models.versions(0)[0])
        assert killed.models.current(0) == unbroken.models.current(0)
        assert killed.models.load(killed.models.versions(0)[0]).equals(reference)
        assert killed.models.versions() == unbroken.models.versions()
        scored: list[tuple[int, int]] = []
        for number in range(1, ROUNDS):
            (name,) = killed.prediction_files.names(f"score-{number}")
            table = killed.prediction_files.read(name)
            assert table.equals(unbroken.prediction_files.read(name))
            scored += zip(table["sensor_id"].to_pylist(), table["ts"].to_pylist(), strict=True)
        # It has too few windows for its own model in its first round: until then a stand-in scores it.
        first_scored = int((end_of(1) - timedelta(minutes=2)).timestamp())
        newcomers = sorted(end for sensor, end in scored if sensor == NEWCOMER)
        assert newcomers == list(range(first_scored + 5, int(end_of(ROUNDS - 1).timestamp()) + 1, 5))
