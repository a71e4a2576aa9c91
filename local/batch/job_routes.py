"""Routes of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from local.batch.bodies import job_spec, parse_body
from local.batch.documents import (
    job_document,
    task_counts,
)
from local.batch.errors import bad_property, conflict
from local.batch.odata import keep
from local.batch.records import JobRecord
from local.batch.resources import Resources, created
from local.batch.web import answer, check_match, listing, read_body

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from local.batch.records import JobSpec

__all__ = ["Jobs"]

_JOB_PROPERTIES = frozenset(
    {"allowTaskPreemption", "constraints", "maxParallelTasks", "metadata", "onAllTasksComplete", "poolInfo", "priority"}
)


class Jobs(Resources):
    """Routes of jobs."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "/jobs/{job}"
        return [
            Route("/jobs", self._create, methods=["POST"]),
            Route("/jobs", self._list),
            Route(one, self._get),
            Route(one, self._update, methods=["PATCH"]),
            Route(one, self._delete, methods=["DELETE"]),
            Route(f"{one}/terminate", self._terminate, methods=["POST"]),
            Route(f"{one}/disable", self._disable, methods=["POST"]),
            Route(f"{one}/enable", self._enable, methods=["POST"]),
            Route(f"{one}/taskcounts", self._task_counts),
        ]

    async def _create(self, request: Request) -> Response:
        document = parse_body(await read_body(request))
        spec = job_spec(document)
        if self.state.has_job(spec.id):
            raise conflict("JobBeingDeleted" if self.state.job(spec.id).state == "deleting" else "JobExists")
        now = self.scheduler.clock()
        job = JobRecord(
            sequence=self.state.next_sequence(),
            spec=spec,
            document=document,
            created=now,
            modified=now,
            state_since=now,
        )
        self.scheduler.add_job(job)
        self.scheduler.wake()
        return created(f"{self.account.url}/jobs/{spec.id}", job)

    async def _list(self, request: Request) -> Response:
        entries = ((job.sequence, job_document(job, self.account)) for job in self.state.jobs())
        return listing(request, self.account.url, "jobs", entries)

    async def _get(self, request: Request) -> Response:
        job = self.job_of(request)
        check_match(request, job)
        return answer(200, keep(job_document(job, self.account), request.query_params.get("$select")), job)

    async def _update(self, request: Request) -> Response:
        job = self._open_job(request)
        changes = parse_body(await read_body(request))
        document = job.document | {name: value for name, value in changes.items() if name in _JOB_PROPERTIES}
        spec: JobSpec = job_spec(document)
        if (job.spec.on_all_tasks_complete, spec.on_all_tasks_complete) == ("terminatejob", "noaction"):
            raise bad_property("onAllTasksComplete", "noaction", "terminatejob can't be changed back")
        if spec.pool_info != job.spec.pool_info and job.state != "disabled":
            raise bad_property("poolInfo", spec.pool_info.pool_id, "only a disabled job can change its pool")
        job.spec, job.document, job.modified = spec, document, self.scheduler.clock()
        self.state.save(job)
        self.scheduler.wake()
        return answer(200, record=job)

    async def _delete(self, request: Request) -> Response:
        job = self.job_of(request)
        if job.state == "deleting":
            raise conflict("JobBeingDeleted")
        check_match(request, job)
        self.scheduler.delete_job(job)
        return answer(202)

    async def _terminate(self, request: Request) -> Response:
        job = self._open_job(request)
        reason = parse_body(await read_body(request)).get("terminateReason", "UserTerminate")
        self.scheduler.terminate_job(job, str(reason))
        return answer(202, record=job)

    async def _disable(self, request: Request) -> Response:
        job = self._open_job(request)
        running = parse_body(await read_body(request)).get("disableTasks")
        if running not in {"requeue", "terminate", "wait"}:
            raise bad_property("disableTasks", running, "expected requeue, terminate or wait")
        self.scheduler.disable_job(job, str(running))
        return answer(202, record=job)

    async def _enable(self, request: Request) -> Response:
        job = self._open_job(request)
        self.scheduler.move_job(job, "active")
        return answer(202, record=job)

    async def _task_counts(self, request: Request) -> Response:
        return answer(200, task_counts(self.state.tasks(self.job_of(request).spec.id)))

    def _open_job(self, request: Request) -> JobRecord:
        job = self.open_job_of(request)
        check_match(request, job)
        return job
