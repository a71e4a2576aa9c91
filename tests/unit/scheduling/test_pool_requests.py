"""Requests of the pool adapter to Azure Batch, and its reading of the answers, without any service."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from azure.batch import models
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
)

from sensorwatch.errors import ConflictError, NotFoundError, SensorwatchError, SettingsError, TransientError
from sensorwatch.scheduling.batch_client import batch_client, ensure_pool, translate_batch_errors
from sensorwatch.scheduling.pool import BatchPool, command_line
from sensorwatch.tasks.records import Run, TaskSpec

_END = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
_TASK = TaskSpec("score-20261120T101500Z", "score-000012", "score", 12, _END - timedelta(minutes=5), _END)
_RUN = Run(_TASK.run_id, "score", _END, (_TASK,))


class _Account:
    """Stands in for a Batch account: notes the requests, answers as told."""

    def __init__(self, statuses: list[str] | None = None) -> None:
        self.jobs: list[models.BatchJobCreateOptions] = []
        self.tasks: list[list[models.BatchTaskCreateOptions]] = []
        self.updates: list[models.BatchJobUpdateOptions] = []
        self.raised: dict[str, Exception] = {}
        self.job_state = models.BatchJobState.ACTIVE
        self.counts = models.BatchTaskCounts(active=0, running=0, completed=0, succeeded=0, failed=0)
        self.listed: list[models.BatchTask] = []
        self.resize_errors: list[models.ResizeError] = []
        self._statuses = statuses or []

    def create_job(self, job: models.BatchJobCreateOptions) -> None:
        self.jobs.append(job)

    def update_job(self, _job_id: str, update: models.BatchJobUpdateOptions) -> None:
        self._fail("update_job")
        self.updates.append(update)

    def begin_delete_job(self, _job_id: str) -> None:
        self._fail("begin_delete_job")

    def create_pool(self, _pool: models.BatchPoolCreateOptions) -> None:
        self._fail("create_pool")

    def get_pool(self, pool_id: str, **_: object) -> models.BatchPool:
        self._fail("get_pool")
        return models.BatchPool({"id": pool_id, "resizeErrors": [dict(error) for error in self.resize_errors]})

    def get_job(self, job_id: str, select: list[str]) -> models.BatchJob:
        return models.BatchJob({"id": job_id, "state": self.job_state})

    def get_job_task_counts(self, _job_id: str) -> models.BatchTaskCountsResult:
        return models.BatchTaskCountsResult({"taskCounts": dict(self.counts)})

    def list_tasks(self, _job_id: str, filter: str, select: list[str]) -> list[models.BatchTask]:  # noqa: A002
        return self.listed

    def get_task_file_properties(self, *_: str) -> object:
        raise ResourceNotFoundError("the node is gone")

    def _fail(self, request: str) -> None:
        if request in self.raised:
            raise self.raised[request]

    def create_task_collection(
        self, _job_id: str, group: models.BatchTaskGroup
    ) -> models.BatchCreateTaskCollectionResult:
        self.tasks.append(list(group.task_values))
        status = self._statuses.pop(0) if self._statuses else "success"
        error = models.BatchError(code=status) if status not in {"success", "servererror"} else None
        kind = "clienterror" if error else status
        return models.BatchCreateTaskCollectionResult(
            result_values=[
                models.BatchTaskCreateResult(status=kind, task_id=task.id, error=error) for task in group.task_values
            ]
        )


def _pool(account: _Account, *, image: str | None = None, identity_id: str | None = None) -> BatchPool:
    return BatchPool(
        account,  # type: ignore[arg-type]
        "sensorwatch",
        task_environment={"WINDOW_SECONDS": "5"},
        task_logs_url="https://account.blob.core.windows.net/task-logs",
        image=image,
        identity_id=identity_id,
        retries=2,
        timeout_seconds=900,
    )


def test_a_command_line_says_what_is_to_be_done() -> None:
    assert command_line(_TASK) == (
        "python -m batch_tasks.score --run score-20261120T101500Z --shard 12 "
        "--start 2026-11-20T10:10:00Z --end 2026-11-20T10:15:00Z"
    )


def test_a_command_line_without_a_start_has_no_lower_bound() -> None:
    assert "--start" not in shlex.split(command_line(replace(_TASK, start=None)))


def test_times_in_a_command_line_are_in_utc() -> None:
    local = datetime(2026, 11, 20, 12, 15, tzinfo=timezone(timedelta(hours=2)))
    assert command_line(replace(_TASK, end=local)).endswith("--end 2026-11-20T10:15:00Z")


def test_a_job_stays_open_until_its_tasks_are_there() -> None:
    account = _Account()
    _pool(account).submit(_RUN)
    (job,), (update,) = account.jobs, account.updates
    assert (job.id, job.all_tasks_complete_mode) == (_RUN.run_id, "noaction")
    assert update.all_tasks_complete_mode == "terminatejob"
    assert job.constraints is not None
    assert job.constraints.max_wall_clock_time == timedelta(days=1)
    assert [(setting.name, setting.value) for setting in job.common_environment_settings or []] == [
        ("WINDOW_SECONDS", "5")
    ]


def test_a_task_is_limited_and_uploads_its_output_with_the_pools_identity() -> None:
    account = _Account()
    _pool(account, image="registry/sensorwatch:1", identity_id="/subscriptions/0/identity").submit(_RUN)
    ((task,),) = account.tasks
    assert (task.id, task.command_line) == (_TASK.task_id, command_line(_TASK))
    assert task.container_settings is not None
    assert task.container_settings.image_name == "registry/sensorwatch:1"
    assert task.constraints is not None
    assert (task.constraints.max_task_retry_count, task.constraints.max_wall_clock_time) == (2, timedelta(minutes=15))
    (output,) = task.output_files or []
    container = output.destination.container
    assert container is not None
    assert (output.file_pattern, container.path) == ("../std*.txt", "score-20261120T101500Z/score-000012")
    assert container.identity_reference is not None
    assert container.identity_reference.resource_id == "/subscriptions/0/identity"


def test_tasks_are_added_a_hundred_at_a_time() -> None:
    account = _Account()
    tasks = tuple(replace(_TASK, task_id=f"score-{shard:06d}", shard=shard) for shard in range(250))
    _pool(account).submit(replace(_RUN, tasks=tasks))
    assert [len(request) for request in account.tasks] == [100, 100, 50]


def test_a_task_that_exists_is_as_good_as_added() -> None:
    account = _Account(["TaskExists"])
    _pool(account).submit(_RUN)
    assert len(account.updates) == 1


def test_tasks_that_the_account_cannot_take_now_are_tried_a_bounded_number_of_times() -> None:
    account = _Account(["servererror"] * 100)
    with pytest.raises(TransientError, match="1 tasks could not be added yet"):
        _pool(account).submit(_RUN)
    assert len(account.tasks) == 3
    assert not account.updates


def test_a_refused_task_is_reported() -> None:
    with pytest.raises(SensorwatchError, match=r"score-000012 .* is refused: InvalidPropertyValue"):
        _pool(_Account(["InvalidPropertyValue"])).submit(_RUN)


def _response_error(status: int) -> HttpResponseError:
    error = HttpResponseError(message="what the service said")
    error.status_code = status
    return error


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ResourceNotFoundError("gone"), NotFoundError),
        (ResourceExistsError("busy"), SensorwatchError),
        (ClientAuthenticationError("who?"), SettingsError),
        (_response_error(403), SettingsError),
        (_response_error(404), NotFoundError),
        (_response_error(409), ConflictError),
        (_response_error(429), TransientError),
        (_response_error(503), TransientError),
        (_response_error(400), SensorwatchError),
        (ServiceRequestError("connection refused"), TransientError),
    ],
)
def test_errors_of_the_sdk_become_this_projects(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught, translate_batch_errors("job x"):
        raise raised
    assert caught.value.__cause__ is raised
    assert "job x" in str(caught.value)


def test_a_refused_key_is_reported_with_the_names_of_the_settings() -> None:
    with pytest.raises(SettingsError, match=r"BATCH_ACCOUNT_KEY .* BATCH_ACCOUNT_URL"), translate_batch_errors("job x"):
        raise _response_error(403)


@pytest.mark.parametrize(
    ("url", "name", "key", "setting"),
    [
        (None, "local", "a2V5", "BATCH_ACCOUNT_URL"),
        ("http://127.0.0.1:1", None, "a2V5", "BATCH_ACCOUNT_NAME"),
        ("http://127.0.0.1:1", "local", None, "BATCH_ACCOUNT_KEY"),
    ],
)
def test_a_client_that_could_not_work_is_refused_with_the_setting(
    url: str | None, name: str | None, key: str | None, setting: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{setting}: missing"):
        batch_client(url, name, key)


def _exists(code: str) -> ResourceExistsError:
    error = ResourceExistsError(message="what the service said")
    error.error = SimpleNamespace(code=code, message="what the service said")  # type: ignore[assignment]
    return error


def test_a_job_that_ends_while_it_is_submitted_is_complete() -> None:
    account = _Account()
    account.raised["update_job"] = _exists("JobCompleted")
    _pool(account).submit(_RUN)
    account.raised["update_job"] = _exists("JobDisabled")
    with pytest.raises(SensorwatchError, match="JobDisabled"):
        _pool(account).submit(_RUN)


def test_deleting_a_job_that_is_being_deleted_is_no_error() -> None:
    account = _Account()
    for answer in (_exists("JobBeingDeleted"), ResourceNotFoundError("gone")):
        account.raised["begin_delete_job"] = answer
        _pool(account).delete(_RUN.run_id)
    account.raised["begin_delete_job"] = _exists("JobBeingTerminated")
    with pytest.raises(SensorwatchError, match="JobBeingTerminated"):
        _pool(account).delete(_RUN.run_id)


def test_a_pool_that_another_process_creates_first_is_left_alone() -> None:
    account = _Account()
    account.raised["get_pool"] = ResourceNotFoundError("no pool")
    account.raised["create_pool"] = _exists("PoolExists")
    assert not ensure_pool(account, "sensorwatch")  # type: ignore[arg-type]
    account.raised["create_pool"] = _exists("PoolBeingDeleted")
    with pytest.raises(SensorwatchError, match="PoolBeingDeleted"):
        ensure_pool(account, "sensorwatch")  # type: ignore[arg-type]


def test_a_job_that_waits_for_nodes_is_logged_with_the_problem_of_its_pool(caplog: pytest.LogCaptureFixture) -> None:
    account = _Account()
    account.counts.active = 1
    account.resize_errors = [models.ResizeError({"code": "AccountCoreQuotaReached", "message": "no cores are left"})]
    status = _pool(account).status(_RUN.run_id)
    assert (status.active, status.completed) == (1, False)
    assert "waits for nodes; pool sensorwatch has a problem: AccountCoreQuotaReached: no cores are left" in caplog.text


def test_a_failure_without_details_is_reported_as_such() -> None:
    account = _Account()
    account.counts.completed = account.counts.failed = 2
    failed = {"exitCode": 1, "result": "failure", "retryCount": 2, "requeueCount": 0}
    account.listed = [
        models.BatchTask({"id": "score-000012", "executionInfo": failed}),
        models.BatchTask({"id": "score-000013"}),
    ]
    (result,) = _pool(account).status(_RUN.run_id).results
    assert (result.task_id, result.succeeded, result.exit_code) == ("score-000012", False, 1)
    assert (result.seconds, result.detail) == (0.0, "failed for an unknown reason")
