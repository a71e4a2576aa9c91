"""Plans of runs: the same moment planned twice gives the same run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.scheduling.plans import plan_run, run_window_end
from sensorwatch.tasks.records import ShardActivity

NOW = datetime(2026, 11, 20, 10, 15, 40, tzinfo=UTC)
END = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)


def shard(**changes: Any) -> ShardActivity:
    values: dict[str, Any] = {
        "shard": 0,
        "sensors": 3,
        "last_window": END,
        "untrained_sensors": 0,
        "trained_sensors": 3,
        "scored_until": END - timedelta(minutes=5),
        "rescore_windows": 0,
        "active_kinds": frozenset(),
    }
    return ShardActivity(**(values | changes))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.sampled_from([1, 5, 60, 3600]))  # noqa: DTZ001
def test_the_window_end_is_aligned_settled_and_the_newest_such(moment: datetime, span: int) -> None:
    now = moment.replace(tzinfo=UTC)
    end = run_window_end(now, settle_seconds=30, run_window_seconds=span)
    assert end.timestamp() % span == 0
    assert timedelta(seconds=30) <= now - end < timedelta(seconds=30 + span + 1)


def test_timers_that_fire_twice_within_the_span_plan_the_same_run() -> None:
    ends = {run_window_end(NOW + timedelta(seconds=s), settle_seconds=30, run_window_seconds=60) for s in (0, 3, 19)}
    assert ends == {END}


def test_ids_follow_from_kind_window_and_shard() -> None:
    run = plan_run("score", [shard(shard=12)], END)
    assert run is not None
    assert run.run_id == "score-20261120T101500Z"
    assert [task.task_id for task in run.tasks] == ["score-000012"]


def test_scoring_goes_on_where_the_last_one_ended() -> None:
    run = plan_run("score", [shard()], END)
    assert run is not None
    assert (run.tasks[0].start, run.tasks[0].end) == (END - timedelta(minutes=5), END)


def test_nothing_is_due_without_new_windows() -> None:
    assert plan_run("score", [shard(scored_until=END)], END) is None
    assert plan_run("score", [shard(last_window=END - timedelta(minutes=5))], END) is None
    assert plan_run("train", [shard()], END) is None


def test_windows_newer_than_the_run_wait_for_the_next() -> None:
    assert plan_run("score", [shard(last_window=END + timedelta(seconds=5), scored_until=END)], END) is None


def test_a_shard_without_models_or_windows_is_not_scored() -> None:
    assert plan_run("score", [shard(trained_sensors=0)], END) is None
    assert plan_run("score", [shard(last_window=None, scored_until=None)], END) is None


def test_a_changed_window_makes_its_shard_due_again() -> None:
    assert plan_run("score", [shard(scored_until=END, rescore_windows=1)], END) is not None


def test_tasks_of_one_shard_and_kind_never_overlap() -> None:
    assert plan_run("score", [shard(active_kinds=frozenset({"score"}))], END) is None
    assert plan_run("score", [shard(active_kinds=frozenset({"train"}))], END) is not None


def test_only_shards_with_untrained_sensors_are_trained() -> None:
    run = plan_run("train", [shard(shard=0), shard(shard=1, untrained_sensors=2)], END)
    assert run is not None
    assert [task.shard for task in run.tasks] == [1]
    assert run.tasks[0].start is None


# ---- a limit on tasks ------------------------------------------------------------------------------------------------


def test_the_limit_takes_those_first_that_have_waited_longest_and_keeps_the_runs_id() -> None:
    due = [shard(shard=number) for number in range(5)]
    planned = {0: END - timedelta(hours=1), 1: END - timedelta(hours=3), 3: END - timedelta(hours=2)}
    run = plan_run("score", due, END, max_tasks=3, last_planned=planned)
    whole = plan_run("score", due, END)
    assert run is not None
    assert whole is not None
    assert [task.shard for task in run.tasks] == [1, 2, 4]
    assert run.run_id == whole.run_id
    assert len(whole.tasks) == 5
    assert plan_run("score", due, END, max_tasks=5, last_planned={}) == whole


@given(
    st.lists(st.integers(0, 1_000), min_size=1, max_size=60, unique=True),
    st.integers(1, 20),
    st.dictionaries(st.integers(0, 1_000), st.integers(0, 100)),
    st.sampled_from(["train", "score"]),
)
def test_no_shard_starves_whatever_the_limit(numbers: list[int], limit: int, hours: dict[int, int], kind: Any) -> None:
    """Shards that stay due, as their tasks keep failing, all have their turn within ceil(due / limit) runs."""
    due = [shard(shard=number, untrained_sensors=1) for number in sorted(numbers)]
    last_planned = {number: END - timedelta(hours=ago + 1) for number, ago in hours.items()}
    turns: list[int] = []
    for later in range(-(-len(due) // limit)):
        end = END + timedelta(minutes=later)
        run = plan_run(kind, due, end, max_tasks=limit, last_planned=last_planned)
        assert run is not None
        assert len(run.tasks) <= limit
        turns += [task.shard for task in run.tasks]
        last_planned |= {task.shard: task.end for task in run.tasks}
    assert set(turns) == set(numbers)
