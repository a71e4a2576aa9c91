"""Planning and submission of runs. A second submission for the same window submits nothing new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sensorwatch.scheduling.plans import due_shards, plan_run, run_window_end

if TYPE_CHECKING:
    from datetime import datetime

    from sensorwatch.clock import Clock
    from sensorwatch.scheduling.ports import Pool, RunStore
    from sensorwatch.tasks.records import Kind, Run, ShardActivity

__all__ = ["DuePlan", "Submission", "plan_due", "resume_submissions", "submit_due"]


@dataclass(frozen=True, slots=True)
class Submission:
    """Outcome of a submission.

    Attributes
    ----------
    run_id
        The run, None if nothing was due.
    tasks
        Number of its tasks, 0 if the run had been submitted before.
    running
        Number of shards that were left out because their previous task of this kind still runs.
    next_run
        If the run had been submitted before: the earliest time (UTC) of the next run, None if it has no fixed time.
    """

    run_id: str | None
    tasks: int
    running: int = 0
    next_run: datetime | None = None

    def __str__(self) -> str:
        """Return the outcome as a sentence."""
        if self.run_id is None:
            still = f", {_counted(self.running, 'task')} still running" if self.running else ""
            return f"nothing is due{still}"
        if self.tasks == 0:
            later = f"; the next run is possible from {self.next_run:%H:%M:%S} UTC on" if self.next_run else ""
            return f"{self.run_id} was already submitted{later}"
        return f"submitted {self.run_id} with {_counted(self.tasks, 'task')}"


@dataclass(frozen=True, slots=True)
class DuePlan:
    """Plan of the next run.

    Attributes
    ----------
    run
        The run that would be submitted now, None if nothing is due.
    due
        Every shard that is due.
    running
        Number of shards that are left out because their previous task of this kind still runs.
    """

    run: Run | None
    due: tuple[ShardActivity, ...]
    running: int


def plan_due(
    kind: Kind,
    *,
    store: RunStore,
    clock: Clock,
    settle_seconds: int,
    run_window_seconds: int,
    max_tasks: int | None = None,
) -> DuePlan:
    """Return the plan of the run that is due now. Nothing is stored or submitted.

    Parameters
    ----------
    kind
        Kind of the run.
    store
        Store of runs and shards.
    clock
        Current time.
    settle_seconds, run_window_seconds
        As for :func:`~sensorwatch.scheduling.plans.run_window_end`.
    max_tasks
        Most tasks in the run; None for no limit.
    """
    window_end = run_window_end(clock(), settle_seconds=settle_seconds, run_window_seconds=run_window_seconds)
    activity = store.shard_activity()
    due = due_shards(kind, activity, window_end)
    running = sum(kind in shard.active_kinds for shard in activity)
    last_planned = store.last_planned(kind) if max_tasks is not None and len(due) > max_tasks else None
    run = plan_run(kind, due, window_end, max_tasks=max_tasks, last_planned=last_planned)
    return DuePlan(run, tuple(due), running)


def submit_due(
    kind: Kind,
    *,
    store: RunStore,
    pool: Pool,
    clock: Clock,
    settle_seconds: int,
    run_window_seconds: int,
    max_tasks: int | None = None,
) -> Submission:
    """Store and submit the run of ``kind`` that is due now.

    The run is stored before it is submitted. After a crash in between, :func:`resume_submissions` finds the stored run
    and submits it.

    Parameters
    ----------
    kind
        Kind of the run.
    store
        Store of runs and shards.
    pool
        Pool that runs the tasks.
    clock
        Current time.
    settle_seconds, run_window_seconds
        As for :func:`~sensorwatch.scheduling.plans.run_window_end`.
    max_tasks
        Most tasks in the run; None for no limit.

    Raises
    ------
    TransientError
        The store or the pool is unavailable. A run that was stored is submitted later.
    """
    resume_submissions(store=store, pool=pool)
    plan = plan_due(
        kind,
        store=store,
        clock=clock,
        settle_seconds=settle_seconds,
        run_window_seconds=run_window_seconds,
        max_tasks=max_tasks,
    )
    run = plan.run
    if run is None:
        return Submission(None, 0, plan.running)
    if not store.begin_run(run, clock()):
        next_run = run.window_end + timedelta(seconds=run_window_seconds + settle_seconds)
        return Submission(run.run_id, 0, plan.running, next_run)
    pool.submit(run)
    store.mark_submitted(run.run_id)
    return Submission(run.run_id, len(run.tasks), plan.running)


def resume_submissions(*, store: RunStore, pool: Pool) -> list[str]:
    """Submit stored runs that did not reach the pool completely. Return their ids."""
    resumed = []
    for run in store.unsubmitted_runs():
        pool.submit(run)
        store.mark_submitted(run.run_id)
        resumed.append(run.run_id)
    return resumed


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
