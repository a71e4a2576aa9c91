"""Routes of tasks and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from local.batch.bodies import parse_body, task_spec
from local.batch.documents import (
    etag,
    task_document,
    timestamp,
)
from local.batch.errors import ServiceError, bad_property, conflict
from local.batch.files import byte_range, file_documents, file_headers, find_file, read_part, require_files
from local.batch.odata import keep
from local.batch.records import JobRecord, TaskRecord
from local.batch.resources import Resources, created
from local.batch.web import answer, check_match, listing, read_body

if TYPE_CHECKING:
    from starlette.requests import Request


__all__ = ["Tasks"]

_MAX_TASKS = 100


class Tasks(Resources):
    """Routes of tasks and their files."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "/jobs/{job}/tasks/{task}"
        return [
            Route("/jobs/{job}/addtaskcollection", self._create_many, methods=["POST"]),
            Route("/jobs/{job}/tasks", self._create, methods=["POST"]),
            Route("/jobs/{job}/tasks", self._list),
            Route(one, self._get),
            Route(one, self._delete, methods=["DELETE"]),
            Route(f"{one}/terminate", self._terminate, methods=["POST"]),
            Route(f"{one}/reactivate", self._reactivate, methods=["POST"]),
            Route(f"{one}/files", self._list_files),
            Route(f"{one}/files/{{path:path}}", self._get_file),
        ]

    async def _create(self, request: Request) -> Response:
        task = self._add(self.open_job_of(request), parse_body(await read_body(request)))
        return created(self._url(task), task)

    async def _create_many(self, request: Request) -> Response:
        job = self.open_job_of(request)
        documents = parse_body(await read_body(request)).get("value")
        if not isinstance(documents, list) or not 1 <= len(documents) <= _MAX_TASKS:
            raise bad_property("value", "tasks", f"expected a list of 1 to {_MAX_TASKS} tasks")
        with self.state.transaction():
            return answer(200, {"value": [self._add_one_of_many(job, document) for document in documents]})

    async def _list(self, request: Request) -> Response:
        job = self.job_of(request)
        entries = ((task.sequence, task_document(task, job, self.account)) for task in self.state.tasks(job.spec.id))
        return listing(request, self.account.url, "tasks", entries)

    async def _get(self, request: Request) -> Response:
        task = self.task_of(request)
        check_match(request, task)
        document = task_document(task, self.job_of(request), self.account)
        return answer(200, keep(document, request.query_params.get("$select")), task)

    async def _delete(self, request: Request) -> Response:
        task = self.task_of(request)
        check_match(request, task)
        self.scheduler.delete_task(task)
        return answer(200)

    async def _terminate(self, request: Request) -> Response:
        task = self.task_of(request)
        check_match(request, task)
        self.scheduler.terminate_task(task)
        return answer(204, record=task)

    async def _reactivate(self, request: Request) -> Response:
        self.open_job_of(request)
        task = self.task_of(request)
        check_match(request, task)
        self.scheduler.reactivate_task(task)
        return answer(204, record=task)

    async def _list_files(self, request: Request) -> Response:
        task = self.task_of(request)
        require_files(task)
        recursive = request.query_params.get("recursive", "false").lower() == "true"
        folder = self.account.task_folder(task.job_id, task.spec.id)
        documents = file_documents(folder, f"{self._url(task)}/files", recursive=recursive)
        return listing(request, self.account.url, "files", enumerate(documents), filtered=False)

    async def _get_file(self, request: Request) -> Response:
        task, name = self.task_of(request), request.path_params["path"]
        path = find_file(task, self.account.task_folder(task.job_id, task.spec.id), name)
        headers = file_headers(path, f"{self._url(task)}/files/{quote(name, safe='')}")
        if path.is_dir():
            return Response(headers=headers)
        start, length = byte_range(request.headers.get("ocp-range"), path.stat().st_size)
        headers["Content-Length"] = str(length)
        if request.method == "HEAD":
            return Response(headers=headers, media_type="application/octet-stream")
        return StreamingResponse(read_part(path, start, length), headers=headers, media_type="application/octet-stream")

    def _add_one_of_many(self, job: JobRecord, document: object) -> dict[str, Any]:
        task_id = str(document.get("id", "")) if isinstance(document, dict) else ""
        try:
            if not isinstance(document, dict):
                raise bad_property("value", document, "expected an object")
            task = self._add(job, document)
        except ServiceError as exc:
            return {"status": "clienterror", "taskId": task_id, "error": exc.document()}
        return {
            "status": "success",
            "taskId": task.spec.id,
            "eTag": etag(task),
            "lastModified": timestamp(task.modified),
            "location": self._url(task),
        }

    def _add(self, job: JobRecord, document: dict[str, Any]) -> TaskRecord:
        spec = task_spec(document, job.spec)
        if self.state.find_task(job.spec.id, spec.id) is not None:
            raise conflict("TaskExists")
        now = self.scheduler.clock()
        task = TaskRecord(
            sequence=self.state.next_sequence(),
            job_id=job.spec.id,
            spec=spec,
            document=document,
            created=now,
            modified=now,
            state_since=now,
        )
        self.scheduler.add_task(task)
        return task

    def _url(self, task: TaskRecord) -> str:
        return f"{self.account.url}/jobs/{task.job_id}/tasks/{task.spec.id}"
