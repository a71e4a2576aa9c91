"""Making jobs and tasks through the azure-batch SDK, and looking at what became of them."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil
from azure.batch import models
from azure.core.exceptions import (
    HttpResponseError,
)
from local_stack import wait_until

if TYPE_CHECKING:
    from azure.batch import BatchClient


def create_job(
    client: BatchClient,
    *tasks: models.BatchTaskCreateOptions,
    pool: str = "fixed",
    **options: Any,
) -> str:
    job_id = f"job-{uuid4().hex[:12]}"
    client.create_job(models.BatchJobCreateOptions(id=job_id, pool_info=models.BatchPoolInfo(pool_id=pool), **options))
    if tasks:
        client.create_tasks(job_id, list(tasks))
    return job_id


def task(task_id: str, code: str, **options: Any) -> models.BatchTaskCreateOptions:
    command = f"python -c {shlex.quote(code)}"
    return models.BatchTaskCreateOptions(id=task_id, command_line=command, **options)


def constraints(**values: Any) -> models.BatchTaskConstraints:
    return models.BatchTaskConstraints(**values)


def ended_task(client: BatchClient, job_id: str, task_id: str) -> models.BatchTask:
    wait_until(lambda: client.get_task(job_id, task_id).state == "completed", f"task {task_id} is completed")
    return client.get_task(job_id, task_id)


def execution_info(task: models.BatchTask) -> models.BatchTaskExecutionInfo:
    assert task.execution_info is not None
    return task.execution_info


def file_text(client: BatchClient, job_id: str, task_id: str, name: str, ocp_range: str | None = None) -> str:
    return b"".join(client.download_task_file(job_id, task_id, name, ocp_range=ocp_range)).decode()


def error_code(exc: HttpResponseError) -> str | None:
    assert exc.error is not None
    return exc.error.code


def is_zombie(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True
