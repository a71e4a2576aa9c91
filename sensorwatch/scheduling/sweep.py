"""The sweep: collect results of tasks, publish missed prediction files, delete old jobs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from sensorwatch.alerts.metrics import note_published
from sensorwatch.alerts.publish import PublishingStore, publish
from sensorwatch.errors import NotFoundError
from sensorwatch.scheduling.ports import RunStore
from sensorwatch.scheduling.submit import resume_submissions
from sensorwatch.telemetry import span

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.clock import Clock
    from sensorwatch.scheduling.ports import Pool
    from sensorwatch.tasks.ports import PredictionFiles
    from sensorwatch.tasks.records import Kind, Run, TaskResult

__all__ = ["Sweep", "SweepStore", "delete_old_jobs", "sweep_runs"]

_log = logging.getLogger(__name__)


class SweepStore(RunStore, PublishingStore, Protocol):
    """Methods of the store that a sweep uses."""

    def unpublished(self, names: Collection[str]) -> list[str]:
        """Return those prediction files, in the given order, that were not recorded as published."""
        ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """Outcome of a sweep.

    Attributes
    ----------
    resumed
        Number of runs whose submission was completed.
    ended
        Number of runs that ended.
    failed_tasks
        Number of tasks that failed after all retries.
    published
        Number of prediction files that the blob trigger had missed.
    no_data_opened, no_data_cleared
        Numbers of alerts of sensors without data, and of stopped ingestion, that were opened and cleared.
    failed_kinds
        Kind of every ended run with a failed task.
    """

    resumed: int
    ended: int
    failed_tasks: int
    published: int
    no_data_opened: int = 0
    no_data_cleared: int = 0
    failed_kinds: tuple[Kind, ...] = ()


def sweep_runs(
    *,
    store: SweepStore,
    pool: Pool,
    prediction_files: PredictionFiles,
    policy: AlertPolicy,
    clock: Clock,
) -> Sweep:
    """Update every open run with the results of its tasks.

    A run ends only after all its prediction files are published, so nothing is lost if the blob trigger misses a file.

    Parameters
    ----------
    store
        Store of runs, anomalies and alerts.
    pool
        Pool that runs the tasks.
    prediction_files
        Prediction files of the runs.
    policy
        Alert rules and downtime.
    clock
        Current time.
    """
    resumed = resume_submissions(store=store, pool=pool)
    ended = failed = published = 0
    failed_kinds: list[Kind] = []
    for run in store.open_runs():
        try:
            status = pool.status(run.run_id)
        except NotFoundError:
            _log.exception("job %s no longer exists in the pool; its unfinished tasks count as failed", run.run_id)
        else:
            store.record_results(run.run_id, status.results)
            if not status.completed:
                continue
            failures = _report_failures(run, status.results)
            failed += failures
            failed_kinds += [run.kind] if failures else []
        published += _publish_missed(run, store, prediction_files, policy)
        store.end_run(run.run_id, clock())
        ended += 1
    return Sweep(len(resumed), ended, failed, published, failed_kinds=tuple(failed_kinds))


def _report_failures(run: Run, results: Sequence[TaskResult]) -> int:
    failures = [result for result in results if not result.succeeded]
    for result in failures:
        _log.error(
            "task %s of %s failed after %d retries with exit code %s: %s",
            result.task_id,
            run.run_id,
            result.retries,
            result.exit_code,
            result.detail,
        )
    return len(failures)


def _publish_missed(run: Run, store: SweepStore, prediction_files: PredictionFiles, policy: AlertPolicy) -> int:
    if run.kind != "score":
        return 0
    missed = store.unpublished(prediction_files.names(run.run_id))
    for name in missed:
        with span(
            "publish",
            kind="consumer",
            parent=prediction_files.traceparent(name),
            attributes={"sensorwatch.file": name},
        ) as current:
            outcome = publish(name, prediction_files.read(name), store=store, policy=policy)
            note_published(current, outcome)
    return len(missed)


def delete_old_jobs(*, pool: Pool, clock: Clock, retention_days: int) -> list[str]:
    """Delete jobs that ended more than ``retention_days`` ago; return their ids.

    Jobs count against the account's quota until they are deleted. The results of their tasks stay in the store.

    Parameters
    ----------
    pool
        Pool that runs the tasks.
    clock
        Current time.
    retention_days
        Number of days after its end until a job is deleted.
    """
    old = pool.ended_jobs(clock() - timedelta(days=retention_days))
    for run_id in old:
        pool.delete(run_id)
    return old
