"""A pool in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.errors import NotFoundError, TransientError
from sensorwatch.tasks.records import JobStatus, Run, TaskResult
from sensorwatch.telemetry import current_traceparent

if TYPE_CHECKING:
    from datetime import datetime

    from sensorwatch.clock import Clock

__all__ = ["FakePool"]


class FakePool:
    """Jobs whose tasks run until a test ends them.

    Parameters
    ----------
    clock
        Time at which jobs end.
    succeeds
        Whether the tasks of a job succeed (True) or fail (False) as soon as it is submitted; None: they run on.
    """

    def __init__(self, clock: Clock, *, succeeds: bool | None = None) -> None:
        self._clock = clock
        self.succeeds = succeeds
        self.away = False
        self.found: list[str] = []
        self.traceparents: list[str | None] = []
        self.submissions: list[str] = []
        self.runs: dict[str, Run] = {}
        self._ended: dict[str, datetime] = {}
        self._results: dict[str, dict[str, TaskResult]] = {}

    def submit(self, run: Run) -> None:
        if self.away:
            raise TransientError("the pool is away")
        self.submissions.append(run.run_id)
        self.traceparents.append(current_traceparent())
        if run.run_id in self._ended:
            return
        self.runs[run.run_id] = run
        if self.succeeds is not None:
            exit_code = 0 if self.succeeds else 1
            results = [TaskResult(task.task_id, self.succeeds, exit_code, 0, 1.5, "") for task in run.tasks]
            self.finish(run.run_id, *results)

    def finish(self, run_id: str, *results: TaskResult) -> None:
        """End tasks of a job, and the job with its last one."""
        ended = self._results.setdefault(run_id, {})
        ended |= {result.task_id: result for result in results}
        if ended.keys() >= {task.task_id for task in self.runs[run_id].tasks}:
            self._ended[run_id] = self._clock()

    def status(self, run_id: str) -> JobStatus:
        if run_id not in self.runs:
            raise NotFoundError(f"no job {run_id}")
        results = tuple(self._results.get(run_id, {}).values())
        succeeded = sum(result.succeeded for result in results)
        running = len(self.runs[run_id].tasks) - len(results)
        return JobStatus(run_id, 0, running, succeeded, len(results) - succeeded, run_id in self._ended, results)

    def ended_jobs(self, before: datetime) -> list[str]:
        return [run_id for run_id, time in self._ended.items() if time < before]

    def delete(self, run_id: str) -> None:
        for kept in (self.runs, self._ended, self._results):
            kept.pop(run_id, None)

    def problems(self) -> list[str]:
        if self.away:
            raise NotFoundError("no such pool")
        return self.found
