"""Training and scoring jobs, their tasks and logs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from sensorwatch.api.cursors import Cursors, Key
from sensorwatch.api.requests import After, Limit, Page, ReadContext, RunId
from sensorwatch.errors import NotFoundError
from sensorwatch.store.pages.queries import RunKey
from sensorwatch.tasks.records import Kind, TaskState

__all__ = ["router"]

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Job(BaseModel):
    """Training or scoring run: one Batch job."""

    run_id: str
    kind: Kind
    window_end: datetime = Field(description="End of the newest window that it includes.")
    created_at: datetime
    submitted: bool = Field(description="True if all tasks were submitted to the pool.")
    ended_at: datetime | None
    tasks: dict[TaskState, int] = Field(description="Number of tasks by state.")


class JobTask(BaseModel):
    """Task of a job: one shard of sensors."""

    task_id: str
    shard: int
    state: TaskState
    exit_code: int | None
    retries: int
    seconds: float | None
    detail: str


@router.get("")
def jobs(
    context: ReadContext,
    kind: Annotated[Kind | None, Query(description="Only jobs of this kind.")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Page[Job]:
    """List jobs, newest first."""
    cursors = Cursors("jobs", {"kind": kind})
    place = cursors.read(after, tuple[Key, str])
    key = None if place is None else RunKey(_EPOCH + place[0] * _MICROSECOND, place[1])
    found = context.product.store.run_page(kind, limit + 1, key)
    page = found[:limit]
    last = page[-1] if page else None
    return Page(
        items=[
            Job(
                run_id=run.run_id,
                kind=run.kind,
                window_end=run.window_end,
                created_at=run.created_at,
                submitted=run.submitted,
                ended_at=run.ended_at,
                tasks=dict(run.tasks),
            )
            for run in page
        ],
        next=cursors.write([(last.created_at - _EPOCH) // _MICROSECOND, last.run_id])
        if last and len(found) > limit
        else None,
    )


@router.get("/{run_id}/tasks")
def tasks(context: ReadContext, run_id: RunId, limit: Limit = 100, after: After = None) -> Page[JobTask]:
    """List the tasks of a job, ordered by id."""
    cursors = Cursors("tasks", {"run_id": run_id})
    place = cursors.read(after, tuple[str])
    found = context.product.store.task_page(run_id, limit + 1, None if place is None else place[0])
    if not found and place is None:
        raise NotFoundError(f"no run {run_id}; /api/jobs lists them")
    page = found[:limit]
    return Page(
        items=[
            JobTask(
                task_id=task.spec.task_id,
                shard=task.spec.shard,
                state=task.state,
                exit_code=task.exit_code,
                retries=task.retries,
                seconds=task.seconds,
                detail=task.detail,
            )
            for task in page
        ],
        next=cursors.write([page[-1].spec.task_id]) if len(found) > limit else None,
    )


@router.get(
    "/{run_id}/tasks/{task_id}/logs",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def logs(
    context: ReadContext,
    run_id: RunId,
    task_id: Annotated[str, Path(max_length=64, description="Task id.", examples=["score-000000"])],
    stream: Annotated[Literal["stdout", "stderr"], Query(description="Output stream.")] = "stderr",
) -> Response:
    """Show the log of a task: its last 1 MB, available once the task has ended."""
    content = context.product.task_logs.read(run_id, task_id, stream)
    return Response(content.decode("utf-8", errors="replace"), media_type="text/plain; charset=utf-8")
