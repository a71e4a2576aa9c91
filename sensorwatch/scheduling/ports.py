"""Ports of scheduling: the store of runs, and the pool that runs tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.tasks.records import JobStatus, Kind, Run, RunSummary, ShardActivity, TaskResult

__all__ = ["Pool", "RunStore"]


class RunStore(Protocol):
    """Runs and their tasks."""

    def shard_activity(self) -> list[ShardActivity]:
        """Return one row for each shard that has sensors, ordered by shard."""
        ...

    def last_planned(self, kind: Kind) -> dict[int, datetime]:
        """Return, by shard, the newest window end that a task of this kind was planned for."""
        ...

    def begin_run(self, run: Run, now: datetime) -> bool:
        """Store a planned run with its tasks; return False, and change nothing, if its id was stored before.

        A scoring run also moves each shard's "planned until" forward. Windows up to that time that change later are
        marked for rescoring.
        """
        ...

    def mark_submitted(self, run_id: str) -> None:
        """Record that the pool has all tasks of the run."""
        ...

    def unsubmitted_runs(self) -> list[Run]:
        """Return the runs that are neither submitted nor ended, oldest first."""
        ...

    def open_runs(self) -> list[Run]:
        """Return the runs that have not ended, submitted or not, oldest first."""
        ...

    def record_results(self, run_id: str, results: Sequence[TaskResult]) -> None:
        """Store the results of ended tasks, as the pool reports them."""
        ...

    def end_run(self, run_id: str, now: datetime) -> None:
        """Close a run; tasks that have neither succeeded nor failed become failed."""
        ...

    def runs(self, kind: Kind | None = None, limit: int = 50) -> list[RunSummary]:
        """Return runs, newest first."""
        ...


class Pool(Protocol):
    """Compute pool that runs the tasks."""

    def submit(self, run: Run) -> None:
        """Create the run's job and tasks; existing ones stay as they are."""
        ...

    def status(self, run_id: str) -> JobStatus:
        """Return the state of the run's job.

        Raises
        ------
        NotFoundError
            The job was deleted or never submitted.
        """
        ...

    def ended_jobs(self, before: datetime) -> list[str]:
        """Return the ids of the pool's jobs that ended before ``before``."""
        ...

    def delete(self, run_id: str) -> None:
        """Delete the job and its tasks; a missing job is no error."""
        ...
