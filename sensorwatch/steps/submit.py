"""Plan what is due and hand it to the pool; done twice for the same window, it submits nothing new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sensorwatch.plans import due_shards, plan_run, run_window_end

if TYPE_CHECKING:
    from sensorwatch.ports import Clock, Pool, RunStore
    from sensorwatch.records import Kind, Run, ShardActivity

__all__ = ["DuePlan", "Submission", "plan_due", "resume_submissions", "submit_due"]


@dataclass(frozen=True, slots=True)
class Submission:
    """What was handed to the pool: ``run_id`` is None when nothing was due, ``tasks`` 0 when the run existed before."""

    run_id: str | None
    tasks: int

    def __str__(self) -> str:
        """Return it as a sentence."""
        if self.run_id is None:
            return "nothing is due"
        if self.tasks == 0:
            return f"{self.run_id} exists already"
        return f"submitted {self.run_id} with {self.tasks} {'task' if self.tasks == 1 else 'tasks'}"


@dataclass(frozen=True, slots=True)
class DuePlan:
    """What is due: the run that would be submitted now (None: nothing is due), and every shard that is due."""

    run: Run | None
    due: tuple[ShardActivity, ...]


def plan_due(
    kind: Kind,
    *,
    store: RunStore,
    clock: Clock,
    settle_seconds: int,
    run_window_seconds: int,
    max_tasks: int | None = None,
) -> DuePlan:
    """Return what is due now; nothing is stored or submitted."""
    window_end = run_window_end(clock(), settle_seconds=settle_seconds, run_window_seconds=run_window_seconds)
    due = due_shards(kind, store.shard_activity(), window_end)
    last_planned = store.last_planned(kind) if max_tasks is not None and len(due) > max_tasks else None
    return DuePlan(plan_run(kind, due, window_end, max_tasks=max_tasks, last_planned=last_planned), tuple(due))


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

    The run is stored before it is submitted, so that a crash in between leaves a run that :func:`resume_submissions`
    finds and submits.

    Raises
    ------
    TransientError
        The store or the pool is away; what was stored is submitted later.
    """
    resume_submissions(store=store, pool=pool)
    run = plan_due(
        kind,
        store=store,
        clock=clock,
        settle_seconds=settle_seconds,
        run_window_seconds=run_window_seconds,
        max_tasks=max_tasks,
    ).run
    if run is None:
        return Submission(None, 0)
    if not store.begin_run(run, clock()):
        return Submission(run.run_id, 0)
    pool.submit(run)
    store.mark_submitted(run.run_id)
    return Submission(run.run_id, len(run.tasks))


def resume_submissions(*, store: RunStore, pool: Pool) -> list[str]:
    """Submit runs that were stored but did not reach the pool whole; return their ids."""
    resumed = []
    for run in store.unsubmitted_runs():
        pool.submit(run)
        store.mark_submitted(run.run_id)
        resumed.append(run.run_id)
    return resumed
