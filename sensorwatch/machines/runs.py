"""Planning and submission of training and scoring of machines; submitting twice for the same time adds nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sensorwatch.machines.train import MACHINES_SHARD
from sensorwatch.scheduling.submit import Submission, resume_submissions
from sensorwatch.settings.local_times import newest_due
from sensorwatch.tasks.records import Run, TaskSpec, task_id

if TYPE_CHECKING:
    from datetime import time, tzinfo

    from sensorwatch.clock import Clock
    from sensorwatch.machines.ports import MachineData
    from sensorwatch.models.ports import ModelRegistry
    from sensorwatch.scheduling.ports import Pool, RunStore
    from sensorwatch.tasks.records import Kind

__all__ = ["submit_machine_scoring", "submit_machine_training"]


def submit_machine_training(
    *, train_days: int, store: RunStore, pool: Pool, data: MachineData, registry: ModelRegistry, clock: Clock
) -> Submission:
    """Submit training if there is no model, or if it is older than ``train_days``.

    The training uses all data until the newest reading, whose time determines the id of the run.

    Parameters
    ----------
    train_days
        Maximum age of the model in days, from its newest training data to the newest reading.
    store
        Store of runs.
    pool
        Pool that runs the tasks.
    data
        Data of machines.
    registry
        Registry of models of machines.
    clock
        Clock.
    """
    newest = data.newest()
    if newest is None:
        return Submission(None, 0)
    end = datetime.fromtimestamp(newest, UTC)
    current = registry.current(MACHINES_SHARD)
    if current is not None:
        trained = datetime.fromisoformat(str(registry.manifest(current)["window_end"]))
        if end - trained < timedelta(days=train_days):
            return Submission(None, 0)
    return _submit(_run("machines-train", [MACHINES_SHARD], None, end), store, pool, clock)


def submit_machine_scoring(
    *,
    times: tuple[time, ...],
    zone: tzinfo,
    rescore_days: int,
    store: RunStore,
    pool: Pool,
    data: MachineData,
    registry: ModelRegistry,
    clock: Clock,
) -> Submission:
    """Submit the scoring that was due last, one task for each shard of machines.

    Parameters
    ----------
    times
        Local times of day at which scoring is due.
    zone
        Time zone of ``times``.
    rescore_days
        Number of days that are scored again, to include late data.
    store
        Store of runs.
    pool
        Pool that runs the tasks.
    data
        Data of machines.
    registry
        Registry of models of machines.
    clock
        Clock.
    """
    if registry.current(MACHINES_SHARD) is None:
        return Submission(None, 0)
    end = newest_due(clock(), times, zone)
    run = _run("machines-score", data.shards(), end - timedelta(days=rescore_days), end)
    return _submit(run, store, pool, clock)


def _run(kind: Kind, shards: list[int], start: datetime | None, end: datetime) -> Run:
    run_id = f"{kind}-{end:%Y%m%dT%H%M%SZ}"
    tasks = tuple(TaskSpec(run_id, task_id(kind, shard), kind, shard, start, end) for shard in shards)
    return Run(run_id, kind, end, tasks)


def _submit(run: Run, store: RunStore, pool: Pool, clock: Clock) -> Submission:
    resume_submissions(store=store, pool=pool)
    if not store.begin_run(run, clock()):
        return Submission(run.run_id, 0)
    pool.submit(run)
    store.mark_submitted(run.run_id)
    return Submission(run.run_id, len(run.tasks))
