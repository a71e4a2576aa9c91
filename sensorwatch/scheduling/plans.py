"""Planning of runs: which shards are due, and the tasks that follow. Pure: the same input gives the same run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sensorwatch.tasks.records import Run, TaskSpec, task_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sensorwatch.tasks.records import Kind, ShardActivity

__all__ = ["due_shards", "plan_run", "run_window_end"]

_NEVER = datetime.min.replace(tzinfo=UTC)


def run_window_end(now: datetime, *, settle_seconds: int, run_window_seconds: int) -> datetime:
    """Return the end (inclusive) of the windows that a run planned at ``now`` processes.

    It is a multiple of ``run_window_seconds``, so timers that fire twice or slightly late plan the same run.

    Parameters
    ----------
    now
        Current time, with a time zone.
    settle_seconds
        Smallest distance of the result from ``now``, in seconds: the time that late readings have to arrive.
    run_window_seconds
        Grid of the result, in seconds, counted from 1970-01-01T00:00:00Z.

    Examples
    --------
    >>> run_window_end(datetime(2026, 11, 20, 10, 15, 40, tzinfo=UTC), settle_seconds=30, run_window_seconds=60)
    datetime.datetime(2026, 11, 20, 10, 15, tzinfo=datetime.timezone.utc)
    """
    settled = int(now.timestamp()) - settle_seconds
    return datetime.fromtimestamp(settled - settled % run_window_seconds, UTC)


def due_shards(kind: Kind, activity: Iterable[ShardActivity], window_end: datetime) -> list[ShardActivity]:
    """Return the shards that are due for windows up to ``window_end`` (inclusive).

    A shard is due for training if one of its sensors has windows newer than its model. It is due for scoring if it has
    a model and windows that were not scored, or have changed since. A shard whose previous task of the same kind still
    runs waits for the next run, so that tasks of one shard never overlap.

    Parameters
    ----------
    kind
        Kind of the run.
    activity
        All shards.
    window_end
        End of the newest window of the run (UTC).
    """
    return [
        shard
        for shard in activity
        if kind not in shard.active_kinds
        and (_due_for_scoring(shard, window_end) if kind == "score" else _due_for_training(shard))
    ]


def plan_run(
    kind: Kind,
    activity: Iterable[ShardActivity],
    window_end: datetime,
    *,
    max_tasks: int | None = None,
    last_planned: Mapping[int, datetime] | None = None,
) -> Run | None:
    """Return the run for windows up to ``window_end`` (inclusive); None if no shard is due.

    Parameters
    ----------
    kind
        Kind of the run.
    activity
        Shards; those that are due (:func:`due_shards`) get a task.
    window_end
        End of the newest window of the run (UTC). The run's id follows from it and ``kind``, whatever the number of
        tasks.
    max_tasks
        Largest number of tasks; the shards that have waited longest come first. Each of ``n`` due shards gets a task
        within ``ceil(n / max_tasks)`` runs. None: no limit.
    last_planned
        End of the windows (UTC) of each shard's last task of this kind; only needed with a limit. Shards without one
        come first.
    """
    due = due_shards(kind, activity, window_end)
    if max_tasks is not None and len(due) > max_tasks:
        planned = last_planned or {}
        due.sort(key=lambda shard: (planned.get(shard.shard, _NEVER), shard.shard))
        due = sorted(due[:max_tasks], key=lambda shard: shard.shard)
    run_id = f"{kind}-{window_end:%Y%m%dT%H%M%SZ}"
    tasks = tuple(
        TaskSpec(
            run_id=run_id,
            task_id=task_id(kind, shard.shard),
            kind=kind,
            shard=shard.shard,
            start=shard.scored_until if kind == "score" else None,
            end=window_end,
        )
        for shard in due
    )
    return Run(run_id, kind, window_end, tasks) if tasks else None


def _due_for_training(shard: ShardActivity) -> bool:
    return shard.untrained_sensors > 0


def _due_for_scoring(shard: ShardActivity, window_end: datetime) -> bool:
    if shard.trained_sensors == 0 or shard.last_window is None:
        return False
    unscored = shard.scored_until is None or min(shard.last_window, window_end) > shard.scored_until
    return unscored or shard.rescore_windows > 0
