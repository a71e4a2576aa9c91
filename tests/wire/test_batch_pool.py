"""Pools: the double in memory, and the adapter against the local Batch service and Azurite."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from batch_process import KEY, BatchProcess, pick_port
from fakes.scheduling import FakePool
from local_stack import wait_until

from sensorwatch.azure.blobs import blob_service
from sensorwatch.clock import utc_now
from sensorwatch.errors import NotFoundError, SettingsError, TransientError
from sensorwatch.scheduling.batch_client import batch_client, ensure_pool
from sensorwatch.scheduling.pool import BatchPool
from sensorwatch.tasks.records import Run, TaskResult, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import ContainerClient

    from sensorwatch.tasks.records import JobStatus, Kind

pytestmark = pytest.mark.wire

_END = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
_TASK_MODULE = """
import os, sys, time
words = sys.argv[1:]
shard = int(words[words.index("--shard") + 1])
print(" ".join(words), os.environ["WINDOW_SECONDS"], flush=True)
if shard == 1:
    sys.exit("x" * 3000 + " the end of the story")
if shard == 2:
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def service(azurite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchProcess]:
    folder = tmp_path_factory.mktemp("pool")
    # Stands in for the project's own tasks, which need a database: the pool runs what the command line names.
    package = folder / "modules" / "batch_tasks"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").touch()
    for kind in ("train", "score"):
        package.joinpath(f"{kind}.py").write_text(_TASK_MODULE)
    with BatchProcess(pick_port(), folder / "data", "--max-slots", "4", storage=azurite) as process:
        yield process


@pytest.fixture
def client(service: BatchProcess) -> Iterator[BatchClient]:
    with batch_client(service.url, "local", KEY) as batch:
        yield batch


@pytest.fixture(scope="module")
def task_logs(azurite: str) -> ContainerClient:
    container = blob_service(azurite, None).get_container_client("task-logs")
    if not container.exists():
        container.create_container()
    return container


@pytest.fixture
def pool(client: BatchClient, service: BatchProcess, task_logs: ContainerClient) -> BatchPool:
    return _pool(client, service, task_logs)


def _pool(client: BatchClient, service: BatchProcess, task_logs: ContainerClient, **options: Any) -> BatchPool:
    if not list(client.list_pools(filter="id eq 'fixed'")):
        client.create_pool(
            models.BatchPoolCreateOptions(id="fixed", vm_size="x", target_dedicated_nodes=1, task_slots_per_node=4)
        )
    environment = {"WINDOW_SECONDS": "5", "PYTHONPATH": str(service.data.parent / "modules")}
    return BatchPool(
        client,
        options.pop("pool_id", "fixed"),
        task_environment=environment,
        task_logs_url=task_logs.url,
        task_logs=task_logs,
        **{"retries": 1, **options},
    )


def _run(*shards: int, kind: Kind = "score") -> Run:
    run_id = f"{kind}-{uuid4().hex[:12]}"
    tasks = tuple(TaskSpec(run_id, f"{kind}-{shard:06d}", kind, shard, None, _END) for shard in shards)
    return Run(run_id, kind, _END, tasks)


def _ended(pool: BatchPool, run: Run) -> JobStatus:
    wait_until(lambda: pool.status(run.run_id).completed, f"job {run.run_id} is completed")
    return pool.status(run.run_id)


# ---- pools of every kind ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["fake", "batch"])
def any_pool(request: pytest.FixtureRequest) -> BatchPool | FakePool:
    return FakePool(utc_now) if request.param == "fake" else request.getfixturevalue("pool")


def _end(pool: BatchPool | FakePool, run: Run) -> JobStatus:
    """Let the tasks end; that of shard 1 fails, that of shard 2 runs on."""
    if isinstance(pool, FakePool):
        results = [
            TaskResult(task.task_id, task.shard != 1, int(task.shard == 1), int(task.shard == 1), 1.5, "")
            for task in run.tasks
            if task.shard != 2
        ]
        pool.finish(run.run_id, *results)
    ended = {task.task_id for task in run.tasks if task.shard != 2}
    wait_until(lambda: {each.task_id for each in pool.status(run.run_id).results} == ended, "the tasks have ended")
    if len(ended) == len(run.tasks):
        wait_until(lambda: pool.status(run.run_id).completed, f"job {run.run_id} is completed")
    return pool.status(run.run_id)


def test_results_of_a_run_are_counted(any_pool: BatchPool | FakePool) -> None:
    run = _run(1, 10, 11)
    any_pool.submit(run)
    status = _end(any_pool, run)
    assert (status.run_id, status.active, status.running, status.succeeded, status.failed) == (run.run_id, 0, 0, 2, 1)
    assert status.completed
    results = {result.task_id: (result.succeeded, result.exit_code, result.retries) for result in status.results}
    assert results == {
        "score-000001": (False, 1, 1),
        "score-000010": (True, 0, 0),
        "score-000011": (True, 0, 0),
    }


def test_a_job_with_a_task_that_runs_is_not_completed(any_pool: BatchPool | FakePool) -> None:
    run = _run(2, 10)
    any_pool.submit(run)
    status = _end(any_pool, run)
    assert (status.running, status.succeeded, status.completed) == (1, 1, False)
    assert run.run_id not in any_pool.ended_jobs(utc_now() + timedelta(minutes=1))
    any_pool.delete(run.run_id)


def test_submitting_twice_changes_nothing(any_pool: BatchPool | FakePool) -> None:
    run = _run(10, 11)
    any_pool.submit(run)
    any_pool.submit(run)
    _end(any_pool, run)
    any_pool.submit(run)
    status = any_pool.status(run.run_id)
    assert (status.succeeded, len(status.results), status.completed) == (2, 2, True)


def test_an_unknown_job_is_not_found(any_pool: BatchPool | FakePool) -> None:
    with pytest.raises(NotFoundError):
        any_pool.status("score-unknown")


def test_a_deleted_job_is_gone_and_deleting_it_again_is_no_error(any_pool: BatchPool | FakePool) -> None:
    run = _run(2)
    any_pool.submit(run)
    wait_until(lambda: any_pool.status(run.run_id).running == 1, "the task runs")
    any_pool.delete(run.run_id)
    wait_until(lambda: _is_gone(any_pool, run.run_id), "the job is gone")
    any_pool.delete(run.run_id)


def _is_gone(pool: BatchPool | FakePool, run_id: str) -> bool:
    try:
        pool.status(run_id)
    except NotFoundError:
        return True
    return False


def test_jobs_that_ended_before_a_time_are_listed(any_pool: BatchPool | FakePool) -> None:
    run = _run(10)
    any_pool.submit(run)
    _end(any_pool, run)
    later = utc_now() + timedelta(minutes=1)
    assert run.run_id in any_pool.ended_jobs(later)
    assert run.run_id not in any_pool.ended_jobs(later - timedelta(hours=1))
    assert any_pool.problems() == []


# ---- Azure Batch -----------------------------------------------------------------------------------------------------


def test_a_run_is_submitted_run_and_reported(pool: BatchPool, task_logs: ContainerClient) -> None:
    run = _run(10, 11, kind="train")
    pool.submit(run)
    status = _ended(pool, run)
    assert (status.active, status.running, status.succeeded, status.failed) == (0, 0, 2, 0)
    assert {result.task_id for result in status.results} == {"train-000010", "train-000011"}
    assert all(result.succeeded and result.exit_code == 0 and result.detail == "" for result in status.results)
    assert all(0 < result.seconds < 10 for result in status.results)
    log = task_logs.download_blob(f"{run.run_id}/train-000010/stdout.txt").readall().decode()
    assert log == f"--run {run.run_id} --shard 10 --end 2026-11-20T10:15:00Z 5\n"


def test_a_failed_task_is_reported_with_the_end_of_its_stderr(pool: BatchPool) -> None:
    run = _run(1, 10)
    pool.submit(run)
    status = _ended(pool, run)
    assert (status.succeeded, status.failed) == (1, 1)
    (failed,) = [result for result in status.results if not result.succeeded]
    assert (failed.task_id, failed.exit_code, failed.retries) == ("score-000001", 1, 1)
    assert failed.detail.startswith("FailureExitCode: ")
    assert failed.detail.endswith("the end of the story")
    assert len(failed.detail) < 2_300


def test_the_log_in_blob_is_read_when_the_node_has_lost_it(
    pool: BatchPool, client: BatchClient, service: BatchProcess
) -> None:
    run = _run(1)
    pool.submit(run)
    _ended(pool, run)
    shutil.rmtree(service.data / "workitems" / run.run_id)
    (failed,) = pool.status(run.run_id).results
    assert failed.detail.endswith("the end of the story")


def test_a_failure_is_reported_even_without_its_log(
    pool: BatchPool, service: BatchProcess, task_logs: ContainerClient
) -> None:
    run = _run(1)
    pool.submit(run)
    _ended(pool, run)
    shutil.rmtree(service.data / "workitems" / run.run_id)
    task_logs.delete_blob(f"{run.run_id}/score-000001/stderr.txt")
    (failed,) = pool.status(run.run_id).results
    assert failed.detail.startswith("FailureExitCode: ")
    assert "stderr" not in failed.detail


def test_a_submission_that_broke_off_is_completed(pool: BatchPool) -> None:
    run = _run(10, 11, 12)
    half = replace(run, tasks=run.tasks[:1])
    pool._create_job(run.run_id, {})
    pool._add_tasks(run.run_id, [pool._task(task) for task in half.tasks])
    wait_until(lambda: pool.status(run.run_id).succeeded == 1, "the first task has succeeded")
    assert not pool.status(run.run_id).completed
    pool.submit(run)
    assert _ended(pool, run).succeeded == 3


def test_a_task_over_its_time_fails_with_the_reason(
    client: BatchClient, service: BatchProcess, task_logs: ContainerClient
) -> None:
    pool = _pool(client, service, task_logs, timeout_seconds=1)
    run = _run(2)
    pool.submit(run)
    (failed,) = _ended(pool, run).results
    assert (failed.succeeded, failed.retries) == (False, 0)
    assert "maxWallClockTime" in failed.detail


def test_tasks_that_an_ended_job_never_started_count_as_failed(
    client: BatchClient, service: BatchProcess, task_logs: ContainerClient
) -> None:
    client.create_pool(models.BatchPoolCreateOptions(id="empty", vm_size="x", target_dedicated_nodes=0))
    pool = _pool(client, service, task_logs, pool_id="empty", job_timeout_seconds=1)
    run = _run(10, 11)
    pool.submit(run)
    assert pool.status(run.run_id).active == 2
    status = _ended(pool, run)
    assert (status.active, status.failed, len(status.results)) == (0, 2, 2)
    assert all("MaxWallClockTimeExpiry" in result.detail for result in status.results)


def test_a_pool_is_created_once_and_then_left_alone(client: BatchClient) -> None:
    assert ensure_pool(client, "made", max_nodes=3, slots_per_node=2)
    assert not ensure_pool(client, "made", max_nodes=9)
    made = client.get_pool("made")
    assert (made.enable_auto_scale, made.task_slots_per_node) == (True, 2)
    assert "maxNodes = 3;" in (made.auto_scale_formula or "")


def test_problems_of_a_pool_are_reported(
    client: BatchClient, service: BatchProcess, task_logs: ContainerClient
) -> None:
    client.create_pool(
        models.BatchPoolCreateOptions(
            id="broken", vm_size="x", enable_auto_scale=True, auto_scale_formula="$TargetDedicatedNodes = 1 / 0;"
        )
    )
    pool = _pool(client, service, task_logs, pool_id="broken")
    wait_until(lambda: bool(pool.problems()), "the formula was evaluated")
    assert pool.problems() == ["AutoScalingFormulaEvaluationError: a number is divided by zero"]


def test_a_wrong_key_is_reported_with_its_setting(service: BatchProcess, task_logs: ContainerClient) -> None:
    with batch_client(service.url, "local", "d3Jvbmc=") as stranger:
        pool = BatchPool(stranger, "fixed", task_environment={}, task_logs_url=task_logs.url)
        with pytest.raises(SettingsError, match="BATCH_ACCOUNT_KEY"):
            pool.submit(_run(10))


def test_an_unreachable_service_is_a_transient_error(free_port: int, task_logs: ContainerClient) -> None:
    with BatchClient(f"http://127.0.0.1:{free_port}", AzureNamedKeyCredential("local", KEY), retry_total=0) as nobody:
        pool = BatchPool(nobody, "fixed", task_environment={}, task_logs_url=task_logs.url)
        with pytest.raises(TransientError, match="BATCH_ACCOUNT_URL"):
            pool.status("any")
