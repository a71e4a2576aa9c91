"""Estimates of a run, from the durations of earlier ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.scheduling.estimates import Fleet, estimate, sensor_windows
from sensorwatch.tasks.records import ShardActivity, TaskSpec, TaskSummary

END = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
FLEET = Fleet(window_seconds=5, training_seconds=3600, max_nodes=3, slots_per_node=2, price_per_hour=0.36)


def activity(shard: int, sensors: int = 1000) -> ShardActivity:
    return ShardActivity(shard, sensors, END, sensors, 0, None, 0, frozenset())


def task(shard: int = 0, kind: str = "train", minutes: int | None = None) -> TaskSpec:
    start = None if minutes is None else END - timedelta(minutes=minutes)
    return TaskSpec("run", f"t-{shard}", kind, shard, start, END)  # type: ignore[arg-type]


def took(seconds: float | None, shard: int = 0) -> TaskSummary:
    return TaskSummary(task(shard), "succeeded", 0, 0, seconds, "")


def test_windows_are_counted_by_the_range_that_a_task_reads() -> None:
    assert sensor_windows(task(), 1000, FLEET) == 720_000
    assert sensor_windows(task(kind="score", minutes=1), 1000, FLEET) == 12_000
    assert sensor_windows(task(kind="score"), 10, FLEET) == 7200


def test_estimates_use_the_median_duration_of_similar_tasks() -> None:
    history = [took(seconds) for seconds in (2 + 0.72, 2 + 7.2, 2 + 720)]
    found = estimate("train", [task()], [activity(0)], history, FLEET)
    assert found.task_seconds == pytest.approx(2 + 7.2)
    assert (found.tasks, found.sensors, found.sensor_windows, found.history) == (1, 1000, 720_000, 3)


def test_without_a_history_a_default_stands_in() -> None:
    unknown_shard, unknown_time = took(5, shard=99), took(None)
    found = estimate("train", [task()], [activity(0)], [unknown_shard, unknown_time], FLEET)
    assert found.history == 0
    assert found.task_seconds == pytest.approx(2 + 720_000 * 1e-5)


def test_node_minutes_and_cost_follow_from_nodes_and_wall_time() -> None:
    found = estimate("train", [task(n) for n in range(12)], [activity(n) for n in range(12)], [took(62.0)], FLEET)
    assert found.nodes == 3
    assert found.wall_seconds == pytest.approx(12 * 62 / 6)
    assert found.node_minutes == pytest.approx(3 * 124 / 60)
    assert found.cost == pytest.approx(3 * 124 / 3600 * 0.36)
    assert found.currency == "EUR"


def test_no_tasks_cost_nothing_and_without_a_price_there_is_no_cost() -> None:
    assert estimate("score", [], [activity(0)], [], FLEET).cost == 0
    free = Fleet(window_seconds=5, training_seconds=3600, max_nodes=3, slots_per_node=2)
    assert estimate("train", [task()], [activity(0)], [], free).cost is None


@given(st.integers(1, 50), st.integers(1, 10), st.integers(1, 8), st.floats(0, 1e4))
def test_a_run_is_no_shorter_than_its_longest_task_and_uses_no_more_nodes_than_allowed(
    tasks: int, max_nodes: int, slots: int, seconds: float
) -> None:
    fleet = Fleet(5, 3600, max_nodes, slots, 1.0)
    found = estimate(
        "train", [task(n) for n in range(tasks)], [activity(n, 1 + n) for n in range(tasks)], [took(seconds)], fleet
    )
    assert found.nodes <= min(max_nodes, tasks)
    assert found.wall_seconds * found.nodes * slots >= found.task_seconds * (1 - 1e-9)
    assert found.wall_seconds >= found.task_seconds / found.tasks


def test_training_reads_at_least_the_newest_windows_of_slow_sensors() -> None:
    fast = replace(FLEET, training_seconds=86_400, training_windows=4000)
    assert sensor_windows(task(), 10, fast) == 10 * 17_280
    slow = replace(fast, window_seconds=60)
    assert sensor_windows(task(), 10, slow) == 10 * 4000
    assert sensor_windows(task(kind="score", minutes=5), 10, slow) == 10 * 5
