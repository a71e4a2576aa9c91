"""Common base of the routes of pools, jobs and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.batch.errors import conflict
from local.batch.web import answer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from local.batch.records import JobRecord, PoolRecord, TaskRecord
    from local.batch.scheduler import Scheduler

__all__ = ["Resources", "created"]

_ENDED_JOBS = {
    "terminating": "JobBeingTerminated",
    "completed": "JobCompleted",
    "deleting": "JobBeingDeleted",
}


class Resources:
    """Base class of routes: the scheduler, its state and the lookup of a request's resource."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.state = scheduler.state
        self.account = scheduler.account

    def pool_of(self, request: Request) -> PoolRecord:
        """Return the pool that a request names; 404 if it does not exist."""
        return self.state.pool(request.path_params["pool"])

    def job_of(self, request: Request) -> JobRecord:
        """Return the job that a request names; 404 if it does not exist."""
        return self.state.job(request.path_params["job"])

    def task_of(self, request: Request) -> TaskRecord:
        """Return the task that a request names; 404 if it does not exist."""
        return self.state.task(request.path_params["job"], request.path_params["task"])

    def open_job_of(self, request: Request) -> JobRecord:
        """Return the job that a request names; 409 if it has ended or is ending."""
        job = self.job_of(request)
        if job.state in _ENDED_JOBS:
            raise conflict(_ENDED_JOBS[job.state])
        return job


def created(url: str, record: PoolRecord | JobRecord | TaskRecord) -> Response:
    """Return the response to the creation of a record."""
    response = answer(201, record=record)
    response.headers["Location"] = url
    response.headers["DataServiceId"] = url
    return response
