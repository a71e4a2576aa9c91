"""Runs, and the pool that runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.sensors.windows import WindowColumns
    from sensorwatch.tasks.records import (
        JobStatus,
        Kind,
        Run,
        RunSummary,
        ShardActivity,
        TaskResult,
        TaskSpec,
        TaskSummary,
    )

__all__ = ["Pool", "RunStore"]


class RunStore(Protocol):
    """Runs and tasks: what was planned, what became of it."""

    def shard_activity(self) -> list[ShardActivity]:
        """Return one row per shard that has sensors, ordered by shard."""
        ...

    def last_planned(self, kind: Kind) -> dict[int, datetime]:
        """Return of each shard that had a task of this kind the newest end of such a task's windows."""
        ...

    def task_history(self, kind: Kind, limit: int = 200) -> list[TaskSummary]:
        """Return the newest tasks of this kind that succeeded."""
        ...

    def begin_run(self, run: Run, now: datetime) -> bool:
        """Store the run with its tasks as planned; False when a run of this id was stored before (nothing changes).

        For a scoring run this also moves each shard's "planned until", from which later changes are marked for
        scoring again.
        """
        ...

    def mark_submitted(self, run_id: str) -> None:
        """Note that the pool has the whole run."""
        ...

    def unsubmitted_runs(self) -> list[Run]:
        """Return the runs that are neither submitted nor ended, oldest first."""
        ...

    def open_runs(self) -> list[Run]:
        """Return the runs that are not ended, submitted or not, oldest first."""
        ...

    def record_results(self, run_id: str, results: Sequence[TaskResult]) -> None:
        """Store what the pool says of ended tasks."""
        ...

    def end_run(self, run_id: str, now: datetime) -> None:
        """Close a run; its tasks that are neither succeeded nor failed become failed."""
        ...

    def is_scored(self, task: TaskSpec) -> bool:
        """Return whether the shard's "scored until" has reached ``task.end``: it was completed, or a later one."""
        ...

    def complete_scoring(self, task: TaskSpec, scored: WindowColumns) -> None:
        """Move the shard's "scored until" to ``task.end`` and drop the marks of the windows in ``scored``.

        ``scored`` leaves out windows that were passed over for want of a model. A window that has changed again since
        it was read (its count differs) keeps its mark. Marks of sensors that were never trained are dropped.
        """
        ...

    def runs(self, kind: Kind | None = None, limit: int = 50) -> list[RunSummary]:
        """Return the newest runs first."""
        ...

    def tasks(self, run_id: str) -> list[TaskSummary]:
        """Return a run's tasks ordered by task id; empty for an unknown run."""
        ...


class Pool(Protocol):
    """Where tasks run."""

    def submit(self, run: Run) -> None:
        """Create the run's job and tasks; what exists already is left as it is."""
        ...

    def status(self, run_id: str) -> JobStatus:
        """Return the job's state.

        Raises
        ------
        NotFoundError
            No such job (deleted, or never submitted).
        """
        ...

    def ended_jobs(self, before: datetime) -> list[str]:
        """Return the ids of the pool's jobs that ended before then."""
        ...

    def delete(self, run_id: str) -> None:
        """Delete the job and its tasks; one that does not exist is no error."""
        ...
