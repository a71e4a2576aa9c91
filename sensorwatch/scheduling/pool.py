"""Pool on Azure Batch: one job per run, one task per shard."""

from __future__ import annotations

import logging
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from azure.batch import models
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from sensorwatch.errors import SensorwatchError, TransientError
from sensorwatch.scheduling.batch_client import batch_client, ensure_pool, error_code, translate_batch_errors
from sensorwatch.tasks.records import JobStatus, TaskResult
from sensorwatch.telemetry import current_traceparent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from azure.batch import BatchClient
    from azure.storage.blob import ContainerClient

    from sensorwatch.tasks.records import Run, TaskSpec

__all__ = ["BatchPool", "batch_client", "command_line", "ensure_pool"]

_log = logging.getLogger(__name__)

_TASKS_PER_REQUEST = 100
_ADD_ROUNDS = 3
_LOG_CHARACTERS = 2_000
_MAX_LOGS = 50
_LOG_RETENTION = timedelta(days=1)
_SHORTEST_JOB_LIMIT = timedelta(days=1)
_ENDED = frozenset({"completed", "terminating"})
_GONE = frozenset({"JobBeingTerminated", "JobCompleted"})


def command_line(task: TaskSpec) -> str:
    """Return the command line of a task. Times are ISO 8601 in UTC, with ``Z``.

    Examples
    --------
    >>> from datetime import datetime
    >>> from sensorwatch.tasks.records import TaskSpec
    >>> end = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
    >>> command_line(TaskSpec("train-20261120T101500Z", "train-000002", "train", 2, None, end))
    'python -m batch_tasks.train --run train-20261120T101500Z --shard 2 --end 2026-11-20T10:15:00Z'
    """
    start = [] if task.start is None else ["--start", _iso(task.start)]
    what, _, step = task.kind.partition("-")
    program = ["batch_tasks.maintenance", step] if step else [f"batch_tasks.{what}"]
    words = ["python", "-m", *program, "--run", task.run_id, "--shard", str(task.shard)]
    return " ".join([*words, *start, "--end", _iso(task.end)])


class BatchPool:
    """A pool of an Azure Batch account.

    Parameters
    ----------
    client
        Client of the account.
    pool_id
        Id of the pool; :meth:`ensure_pool` creates it if Bicep has not.
    task_environment
        Environment variables of every task. They must hold no secrets, because everybody who may read the account sees
        them.
    task_logs_url
        Blob container that receives stdout and stderr of the tasks, as ``{run_id}/{task_id}/stderr.txt``.
    task_logs
        Client of the same container, to read the logs of a task whose node no longer exists; None: such logs are not
        shown.
    image
        Container image that tasks run in; None: tasks run on the node itself.
    identity_id
        Resource id of the pool's user-assigned identity, which uploads the logs. None: the container's URL has a
        signature, or the nodes have access to the storage account.
    retries
        Number of retries of a failed task.
    timeout_seconds
        Time limit of one attempt, in seconds.
    job_timeout_seconds
        Time limit of a job, in seconds. Default: one day, or the time of all attempts of a task if that is longer.
    before_submission
        Called before each job is created, to store the files that its tasks read; returns environment variables of
        these tasks.
    """

    def __init__(
        self,
        client: BatchClient,
        pool_id: str,
        *,
        task_environment: Mapping[str, str],
        task_logs_url: str,
        task_logs: ContainerClient | None = None,
        image: str | None = None,
        identity_id: str | None = None,
        retries: int = 2,
        timeout_seconds: int = 3600,
        job_timeout_seconds: int | None = None,
        before_submission: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self._client = client
        self._pool_id = pool_id
        self._task_environment = dict(task_environment)
        self._task_logs_url = task_logs_url
        self._task_logs = task_logs
        self._image = image
        self._identity_id = identity_id
        self._retries = retries
        self._before_submission = before_submission
        self._timeout = timedelta(seconds=timeout_seconds)
        self._job_timeout = (
            max(_SHORTEST_JOB_LIMIT, self._timeout * (retries + 1))
            if job_timeout_seconds is None
            else timedelta(seconds=job_timeout_seconds)
        )

    def ensure_pool(self, *, max_nodes: int = 20, slots_per_node: int = 4) -> bool:
        """Create the pool unless it exists; return whether it was created (:func:`ensure_pool`).

        Raises
        ------
        TransientError, SettingsError
            The account is unavailable, or refuses access.
        """
        return ensure_pool(
            self._client, self._pool_id, max_nodes=max_nodes, slots_per_node=slots_per_node, image=self._image
        )

    def submit(self, run: Run) -> None:
        """Create the run's job and tasks; existing ones stay as they are.

        The job stays open until all its tasks exist, because Batch ends an empty job at once. Then it is set to end
        with its tasks. Submitting again completes an interrupted submission.

        Raises
        ------
        TransientError
            The account is unavailable or overloaded. Submitting again completes the submission.
        SettingsError
            The account refuses the key or the identity.
        ConflictError
            A job of this id is being deleted.
        SensorwatchError
            The account refuses the job or a task for another reason.
        """
        environment = dict(self._before_submission()) if self._before_submission is not None else {}
        with translate_batch_errors(f"job {run.run_id}"):
            try:
                if not self._create_job(run.run_id, environment) and self._has_ended(run.run_id):
                    return
                tasks = [self._task(task) for task in run.tasks]
                for start in range(0, len(tasks), _TASKS_PER_REQUEST):
                    self._add_tasks(run.run_id, tasks[start : start + _TASKS_PER_REQUEST])
                self._client.update_job(
                    run.run_id,
                    models.BatchJobUpdateOptions(
                        all_tasks_complete_mode=models.BatchAllTasksCompleteMode.TERMINATE_JOB
                    ),
                )
            except ResourceExistsError as exc:
                # An earlier submission was complete, and its last task has just ended.
                if error_code(exc) not in _GONE:
                    raise

    def status(self, run_id: str) -> JobStatus:
        """Return the state of the run's job. Tasks of an ended job that never started count as failed.

        Raises
        ------
        NotFoundError
            The job was deleted or never submitted.
        TransientError, SettingsError
            The account is unavailable, or refuses access.
        """
        with translate_batch_errors(f"job {run_id}"):
            job = self._client.get_job(run_id, select=["id", "state", "executionInfo"])
            counts = self._client.get_job_task_counts(run_id).task_counts
            results = self._results(run_id, "state eq 'completed'") if counts.completed else []
            completed = job.state == models.BatchJobState.COMPLETED
            active, failed = counts.active, counts.failed
            if completed and active:
                reason = (job.execution_info and job.execution_info.termination_reason) or "no reason given"
                abandoned = self._client.list_tasks(run_id, filter="state eq 'active'", select=["id"])
                results += [_never_started(task.id, reason) for task in abandoned]
                active, failed = 0, failed + active
            elif active and not counts.running:
                self._report_problems(run_id)
        return JobStatus(run_id, active, counts.running, counts.succeeded, failed, completed, tuple(results))

    def ended_jobs(self, before: datetime) -> list[str]:
        """Return the ids of the pool's jobs that ended before ``before``.

        Raises
        ------
        TransientError, SettingsError
            The account is unavailable, or refuses access.
        """
        with translate_batch_errors("the list of jobs"):
            jobs = self._client.list_jobs(filter="state eq 'completed'", select=["id", "executionInfo"])
            return [
                job.id
                for job in jobs
                if (info := job.execution_info) is not None
                and info.pool_id == self._pool_id
                and info.end_time is not None
                and info.end_time < before
            ]

    def delete(self, run_id: str) -> None:
        """End and delete the job and its tasks; a missing job is no error.

        Batch deletes in the background, so the job may remain visible for a while.

        Raises
        ------
        TransientError, SettingsError
            The account is unavailable, or refuses access.
        """
        with translate_batch_errors(f"job {run_id}"):
            try:
                self._client.begin_delete_job(run_id)
            except ResourceNotFoundError:
                return
            except ResourceExistsError as exc:
                if error_code(exc) != "JobBeingDeleted":
                    raise

    def problems(self) -> list[str]:
        """Return why the pool does not get its nodes: resize errors and errors of its autoscale formula.

        Raises
        ------
        NotFoundError
            The pool does not exist.
        TransientError, SettingsError
            The account is unavailable, or refuses access.
        """
        with translate_batch_errors(f"pool {self._pool_id}"):
            pool = self._client.get_pool(self._pool_id)
        problems = [f"{error.code}: {error.message}" for error in pool.resize_errors or []]
        if pool.auto_scale_run is not None and pool.auto_scale_run.error is not None:
            error = pool.auto_scale_run.error
            problems.append(f"{error.code}: {error.message}")
        return problems

    def _create_job(self, run_id: str, environment: dict[str, str]) -> bool:
        options = models.BatchJobCreateOptions(
            id=run_id,
            pool_info=models.BatchPoolInfo(pool_id=self._pool_id),
            constraints=models.BatchJobConstraints(max_wall_clock_time=self._job_timeout),
            common_environment_settings=[
                models.EnvironmentSetting(name=name, value=value)
                for name, value in (self._environment() | environment).items()
            ],
            all_tasks_complete_mode=models.BatchAllTasksCompleteMode.NO_ACTION,
        )
        try:
            self._client.create_job(options)
        except ResourceExistsError as exc:
            if error_code(exc) != "JobExists":
                raise
            return False
        return True

    def _environment(self) -> dict[str, str]:
        """Return the environment of the tasks, with the trace that they continue."""
        traceparent = current_traceparent()
        return {**self._task_environment, **({"TRACEPARENT": traceparent} if traceparent else {})}

    def _has_ended(self, run_id: str) -> bool:
        state = self._client.get_job(run_id, select=["id", "state"]).state
        return state is not None and models.BatchJobState(state).value in _ENDED

    def _task(self, task: TaskSpec) -> models.BatchTaskCreateOptions:
        identity = models.BatchNodeIdentityReference(resource_id=self._identity_id) if self._identity_id else None
        container = models.OutputFileBlobContainerDestination(
            container_url=self._task_logs_url, path=f"{task.run_id}/{task.task_id}", identity_reference=identity
        )
        return models.BatchTaskCreateOptions(
            id=task.task_id,
            command_line=command_line(task),
            container_settings=models.BatchTaskContainerSettings(image_name=self._image) if self._image else None,
            output_files=[
                models.OutputFile(
                    file_pattern="../std*.txt",
                    destination=models.OutputFileDestination(container=container),
                    upload_options=models.OutputFileUploadConfiguration(
                        upload_condition=models.OutputFileUploadCondition.TASK_COMPLETION
                    ),
                )
            ],
            constraints=models.BatchTaskConstraints(
                max_wall_clock_time=self._timeout, retention_time=_LOG_RETENTION, max_task_retry_count=self._retries
            ),
        )

    def _add_tasks(self, run_id: str, tasks: Sequence[models.BatchTaskCreateOptions]) -> None:
        # The SDK's create_tasks retries without end while the account answers 5xx.
        pending = {task.id: task for task in tasks}
        for _ in range(_ADD_ROUNDS):
            group = models.BatchTaskGroup(task_values=list(pending.values()))
            for result in self._client.create_task_collection(run_id, group).result_values or []:
                if result.status == models.BatchTaskAddStatus.SERVER_ERROR:
                    continue
                if result.error is not None and result.error.code != "TaskExists":
                    raise SensorwatchError(
                        f"task {result.task_id} of job {run_id} is refused: {_describe_batch_error(result.error)}"
                    )
                pending.pop(result.task_id, None)
            if not pending:
                return
        raise TransientError(f"job {run_id}: {len(pending)} tasks could not be added yet, the first is {min(pending)}")

    def _results(self, run_id: str, wanted: str) -> list[TaskResult]:
        results = []
        logs = 0
        for task in self._client.list_tasks(run_id, filter=wanted, select=["id", "executionInfo"]):
            info = task.execution_info
            if info is None:
                continue
            failed = info.result != models.BatchTaskExecutionResult.SUCCESS
            detail = ""
            if failed:
                detail = _failure_text(info)
                # Each log costs two requests; if all tasks fail, the first logs are enough.
                log = self._end_of_stderr(run_id, task.id) if logs < _MAX_LOGS else ""
                detail = f"{detail}; stderr ends with:\n{log}" if log else detail
                logs += 1
            results.append(
                TaskResult(
                    task_id=task.id,
                    succeeded=not failed,
                    exit_code=info.exit_code,
                    retries=info.retry_count,
                    seconds=(info.end_time - info.start_time).total_seconds()
                    if info.start_time is not None and info.end_time is not None
                    else 0.0,
                    detail=detail,
                )
            )
        return results

    def _end_of_stderr(self, run_id: str, task_id: str) -> str:
        sources: tuple[Callable[[str, str], bytes], ...] = (self._from_node, self._from_blob)
        for read in sources:
            try:
                end = read(run_id, task_id)
            except AzureError as exc:
                # The node may no longer exist, or the upload may be missing; the other source may have the log.
                _log.debug("stderr of %s/%s: %s", run_id, task_id, exc.message)
                continue
            return end.decode("utf-8", errors="replace").strip()[-_LOG_CHARACTERS:]
        return ""

    def _from_node(self, run_id: str, task_id: str) -> bytes:
        length = self._client.get_task_file_properties(run_id, task_id, "stderr.txt").content_length
        if not length:
            return b""
        start = max(0, length - 4 * _LOG_CHARACTERS)
        chunks = self._client.download_task_file(run_id, task_id, "stderr.txt", ocp_range=f"bytes={start}-{length - 1}")
        return b"".join(chunks)

    def _from_blob(self, run_id: str, task_id: str) -> bytes:
        if self._task_logs is None:
            return b""
        blob = self._task_logs.get_blob_client(f"{run_id}/{task_id}/stderr.txt")
        length = blob.get_blob_properties().size
        if not length:
            return b""
        return blob.download_blob(offset=max(0, length - 4 * _LOG_CHARACTERS)).readall()

    def _report_problems(self, run_id: str) -> None:
        for problem in self.problems():
            _log.warning("job %s waits for nodes; pool %s has a problem: %s", run_id, self._pool_id, problem)


def _never_started(task_id: str, reason: str) -> TaskResult:
    detail = f"never started: its job ended first ({reason})"
    return TaskResult(task_id=task_id, succeeded=False, exit_code=None, retries=0, seconds=0.0, detail=detail)


def _failure_text(info: models.BatchTaskExecutionInfo) -> str:
    failure = info.failure_info
    if failure is None:
        return "failed for an unknown reason"
    details = ", ".join(f"{detail.name}: {detail.value}" for detail in failure.details or [])
    return f"{failure.code}: {failure.message}" + (f" ({details})" if details else "")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _describe_batch_error(error: models.BatchError) -> str:
    message = error.message.value if error.message is not None else ""
    values = ", ".join(f"{value.key}: {value.value}" for value in error.error_values or [])
    return f"{error.code}: {message}" + (f" ({values})" if values else "")
