"""The unmodified azure-batch SDK against the local Batch service."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from azure.batch import models
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from batch_jobs import constraints, create_job, ended_task, error_code, execution_info, file_text, is_zombie, task
from batch_process import KEY, BatchProcess, pick_port
from local_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.batch import BatchClient

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchProcess]:
    with BatchProcess(pick_port(), tmp_path_factory.mktemp("batch"), "--max-slots", "8") as process:
        client = process.client()
        client.create_pool(
            models.BatchPoolCreateOptions(
                id="fixed", vm_size="standard_d2s_v5", target_dedicated_nodes=2, task_slots_per_node=4
            )
        )
        yield process


@pytest.fixture
def client(service: BatchProcess) -> Iterator[BatchClient]:
    with service.client() as batch:
        yield batch


def test_a_job_runs_its_tasks_and_ends_with_them(client: BatchClient) -> None:
    job_id = create_job(client, task("ok", "print('done')"), task("bad", "import sys; sys.exit(3)"))
    client.update_job(job_id, models.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob"))
    wait_until(lambda: client.get_job(job_id).state == "completed", "the job is completed")
    job = client.get_job(job_id)
    assert job.execution_info is not None
    assert (job.execution_info.termination_reason, job.execution_info.pool_id) == ("AllTasksComplete", "fixed")
    assert job.execution_info.end_time is not None
    counts = client.get_job_task_counts(job_id).task_counts
    assert (counts.active, counts.running, counts.completed, counts.succeeded, counts.failed) == (0, 0, 2, 1, 1)
    ok, bad = execution_info(client.get_task(job_id, "ok")), execution_info(client.get_task(job_id, "bad"))
    assert (ok.exit_code, ok.result, ok.failure_info) == (0, "success", None)
    assert bad.failure_info is not None
    assert (bad.exit_code, bad.result, bad.failure_info.code) == (3, "failure", "FailureExitCode")


def test_an_empty_job_set_to_end_with_its_tasks_ends_at_once(client: BatchClient) -> None:
    job_id = create_job(client, all_tasks_complete_mode="terminatejob")
    wait_until(lambda: client.get_job(job_id).state == "completed", "the job is completed")
    with pytest.raises(HttpResponseError) as caught:
        client.create_task(job_id, task("late", "pass"))
    assert error_code(caught.value) == "JobCompleted"


def test_a_failing_task_is_retried_and_then_reported_with_its_stderr(client: BatchClient) -> None:
    code = "import pathlib, sys; pathlib.Path('tries').open('a').write('x'); sys.exit('no model for this shard')"
    job_id = create_job(client, task("t", code, constraints=constraints(max_task_retry_count=2)))
    info = execution_info(ended_task(client, job_id, "t"))
    assert (info.exit_code, info.retry_count, info.last_retry_time is not None) == (1, 2, True)
    assert file_text(client, job_id, "t", "wd/tries") == "xxx"
    assert file_text(client, job_id, "t", "stderr.txt") == "no model for this shard\n"


def test_the_jobs_retry_count_holds_for_tasks_that_say_nothing(client: BatchClient) -> None:
    constraints = models.BatchJobConstraints(max_task_retry_count=1)
    job_id = create_job(client, task("t", "raise SystemExit(1)"), constraints=constraints)
    assert execution_info(ended_task(client, job_id, "t")).retry_count == 1


def test_a_task_over_its_time_is_killed_with_all_that_it_started(client: BatchClient) -> None:
    code = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    limit = constraints(max_wall_clock_time=timedelta(seconds=1), max_task_retry_count=3)
    job_id = create_job(client, task("slow", code, constraints=limit))
    info = execution_info(ended_task(client, job_id, "slow"))
    assert info.failure_info is not None
    assert "maxWallClockTime" in (info.failure_info.message or "")
    assert (info.result, info.retry_count) == ("failure", 0)
    child = int(file_text(client, job_id, "slow", "stdout.txt"))
    wait_until(lambda: not psutil.pid_exists(child) or is_zombie(child), "the child is gone")


def test_a_job_over_its_time_ends_and_leaves_waiting_tasks_unrun(client: BatchClient) -> None:
    slow = [task(f"slow{number}", "import time; time.sleep(600)", required_slots=4) for number in range(3)]
    limit = models.BatchJobConstraints(max_wall_clock_time=timedelta(seconds=1))
    job_id = create_job(client, *slow, constraints=limit)
    wait_until(lambda: client.get_job(job_id).state == "completed", "the job is completed")
    job = client.get_job(job_id)
    assert job.execution_info is not None
    assert job.execution_info.termination_reason == "MaxWallClockTimeExpiry"
    counts = client.get_job_task_counts(job_id).task_counts
    assert (counts.active, counts.failed) == (1, 2)


def test_existing_tasks_are_reported_item_by_item(client: BatchClient) -> None:
    job_id = create_job(client, task("a", "pass"))
    group = models.BatchTaskGroup(task_values=[task("A", "pass"), task("b", "pass"), task("not valid!", "pass")])
    results = client.create_task_collection(job_id, group).result_values or []
    assert [(result.task_id, result.status, result.error and result.error.code) for result in results] == [
        ("A", "clienterror", "TaskExists"),
        ("b", "success", None),
        ("not valid!", "clienterror", "InvalidPropertyValue"),
    ]
    assert {task.task_id for task in client.create_tasks(job_id, [task("a", "pass")]).result_values or []} == {"a"}
    with pytest.raises(ResourceExistsError) as caught:
        _job_again(client, job_id)
    assert error_code(caught.value) == "JobExists"


def _job_again(client: BatchClient, job_id: str) -> None:
    client.create_job(models.BatchJobCreateOptions(id=job_id, pool_info=models.BatchPoolInfo(pool_id="fixed")))


def test_lists_are_paged_filtered_and_reduced(client: BatchClient) -> None:
    tasks = [task(f"t{number}", f"raise SystemExit({number % 2})") for number in range(7)]
    job_id = create_job(client, *tasks)
    wait_until(lambda: client.get_job_task_counts(job_id).task_counts.completed == 7, "all tasks are completed")
    assert len(list(client.list_tasks(job_id, max_results=2))) == 7
    failed = client.list_tasks(
        job_id, filter="state eq 'completed' and executionInfo/result eq 'failure'", select=["id"], max_results=2
    )
    listed = list(failed)
    assert {task.id for task in listed} == {"t1", "t3", "t5"}
    assert {task.command_line for task in listed} == {None}
    with pytest.raises(HttpResponseError) as caught:
        list(client.list_tasks(job_id, filter="state is 'completed'"))
    assert error_code(caught.value) == "InvalidQueryParameterValue"
    assert job_id in {job.id for job in client.list_jobs(filter=f"id eq '{job_id}'", max_results=1)}


def test_a_task_sees_batchs_variables_and_the_settings_but_not_the_accounts_key(client: BatchClient) -> None:
    job_id = create_job(
        client,
        task(
            "t",
            "import json, os; print(json.dumps(dict(os.environ))); print(os.getcwd())",
            environment_settings=[models.EnvironmentSetting(name="LEVEL", value="task")],
        ),
        common_environment_settings=[
            models.EnvironmentSetting(name="LEVEL", value="job"),
            models.EnvironmentSetting(name="COMMON", value="yes"),
        ],
    )
    ended_task(client, job_id, "t")
    text = file_text(client, job_id, "t", "stdout.txt")
    environment, folder = json.loads(text.splitlines()[0]), text.splitlines()[1]
    assert (environment["LEVEL"], environment["COMMON"]) == ("task", "yes")
    assert (environment["AZ_BATCH_JOB_ID"], environment["AZ_BATCH_TASK_ID"]) == (job_id, "t")
    assert (environment["AZ_BATCH_POOL_ID"], environment["AZ_BATCH_ACCOUNT_NAME"]) == ("fixed", "local")
    assert environment["AZ_BATCH_TASK_WORKING_DIR"] == folder
    assert "BATCH_ACCOUNT_KEY" not in environment
    assert KEY not in text


def test_files_of_a_task_are_read_whole_and_in_parts(client: BatchClient) -> None:
    job_id = create_job(client, task("t", "print('0123456789', end=''); open('out.csv', 'w').write('a,b')"))
    ended_task(client, job_id, "t")
    assert client.get_task_file_properties(job_id, "t", "stdout.txt").content_length == 10
    assert file_text(client, job_id, "t", "stdout.txt", "bytes=7-") == "789"
    assert file_text(client, job_id, "t", "stdout.txt", "bytes=2-4") == "234"
    assert file_text(client, job_id, "t", "wd/out.csv") == "a,b"
    assert {file.name for file in client.list_task_files(job_id, "t", recursive=True)} == {
        *("stderr.txt", "stdout.txt", "wd", "wd/out.csv")
    }
    for name in ("missing.txt", "../../../batch.db"):
        with pytest.raises(ResourceNotFoundError):
            file_text(client, job_id, "t", name)


def test_a_program_that_does_not_exist_is_a_failure_without_an_exit_code(client: BatchClient) -> None:
    job_id = create_job(client, models.BatchTaskCreateOptions(id="t", command_line="no-such-program --flag"))
    info = execution_info(ended_task(client, job_id, "t"))
    assert info.failure_info is not None
    assert (info.exit_code, info.failure_info.code) == (None, "CommandProgramNotFound")


def test_no_shell_reads_the_command_line(client: BatchClient) -> None:
    job_id = create_job(
        client,
        models.BatchTaskCreateOptions(
            id="t", command_line="python -c 'import sys; print(sys.argv[1:])' $HOME '*' && ls"
        ),
    )
    ended_task(client, job_id, "t")
    assert file_text(client, job_id, "t", "stdout.txt") == "['$HOME', '*', '&&', 'ls']\n"


def test_a_task_waits_for_those_it_depends_on_and_is_held_by_their_failure(client: BatchClient) -> None:
    def after(*ids: str) -> models.BatchTaskDependencies:
        return models.BatchTaskDependencies(task_ids=list(ids))

    job_id = create_job(client, uses_task_dependencies=True)
    client.create_tasks(
        job_id,
        [
            task("last", "pass", depends_on=after("first")),
            task("held", "pass", depends_on=after("bad")),
            task("bad", "raise SystemExit(1)"),
            task("first", "pass"),
        ],
    )
    first, last = (
        execution_info(ended_task(client, job_id, "first")),
        execution_info(ended_task(client, job_id, "last")),
    )
    ended_task(client, job_id, "bad")
    assert last.start_time is not None
    assert first.end_time is not None
    assert last.start_time >= first.end_time
    assert client.get_task(job_id, "held").state == "active"


def test_an_exit_condition_ends_the_job(client: BatchClient) -> None:
    conditions = models.ExitConditions(
        exit_codes=[models.ExitCodeMapping(code=9, exit_options=models.ExitOptions(job_action="terminate"))],
        default=models.ExitOptions(job_action="none"),
    )
    job_id = create_job(client, task_failure_mode="performexitoptionsjobaction")
    client.create_task(job_id, task("harmless", "raise SystemExit(1)", exit_conditions=conditions))
    ended_task(client, job_id, "harmless")
    assert client.get_job(job_id).state == "active"
    client.create_task(job_id, task("fatal", "raise SystemExit(9)", exit_conditions=conditions))
    wait_until(lambda: client.get_job(job_id).state == "completed", "the job is completed")
    job = client.get_job(job_id)
    assert job.execution_info is not None
    assert job.execution_info.termination_reason == "TaskFailed"


def test_a_terminated_task_fails_and_can_be_run_again(client: BatchClient) -> None:
    code = "import os, sys, time; seen = os.path.exists('seen'); open('seen', 'w'); time.sleep(0 if seen else 600)"
    job_id = create_job(client, task("t", code))
    wait_until(lambda: client.get_task(job_id, "t").state == "running", "the task runs")
    wait_until(lambda: _has_file(client, job_id, "wd/seen"), "the task has begun")
    client.terminate_task(job_id, "t")
    info = execution_info(ended_task(client, job_id, "t"))
    assert info.failure_info is not None
    assert info.failure_info.code == "TaskEnded"
    client.reactivate_task(job_id, "t")
    wait_until(lambda: execution_info(client.get_task(job_id, "t")).result == "success", "the task has succeeded")


def _has_file(client: BatchClient, job_id: str, name: str) -> bool:
    try:
        client.get_task_file_properties(job_id, "t", name)
    except ResourceNotFoundError:
        return False
    return True


def test_deleting_a_running_job_ends_its_tasks_and_then_it_is_gone(client: BatchClient, service: BatchProcess) -> None:
    job_id = create_job(client, task("t", "import time; time.sleep(600)"))
    wait_until(lambda: client.get_task(job_id, "t").state == "running", "the task runs")
    client.begin_delete_job(job_id, polling_interval=0).result()
    with pytest.raises(ResourceNotFoundError) as caught:
        client.get_job(job_id)
    assert error_code(caught.value) == "JobNotFound"
    assert not (service.data / "workitems" / job_id).exists()


def test_a_disabled_job_starts_nothing_until_it_is_enabled(client: BatchClient) -> None:
    job_id = create_job(client)
    client.begin_disable_job(
        job_id, models.BatchJobDisableOptions(disable_tasks="requeue"), polling_interval=0
    ).result()
    client.create_tasks(job_id, [task("t", "pass")])
    assert client.get_job(job_id).state == "disabled"
    assert client.get_task(job_id, "t").state == "active"
    client.begin_enable_job(job_id, polling_interval=0).result()
    ended_task(client, job_id, "t")


def test_terminating_a_job_takes_the_reason(client: BatchClient) -> None:
    job_id = create_job(client)
    client.begin_terminate_job(job_id, {"terminateReason": "enough"}, polling_interval=0).result()  # type: ignore[arg-type]
    job = client.get_job(job_id)
    assert job.execution_info is not None
    assert (job.state, job.execution_info.termination_reason) == ("completed", "enough")


def test_a_condition_that_is_not_met_changes_nothing(client: BatchClient) -> None:
    job_id = create_job(client)
    with pytest.raises(ResourceModifiedError):
        client.update_job(
            job_id,
            models.BatchJobUpdateOptions(priority=5),
            etag="0x1",
            match_condition=MatchConditions.IfNotModified,
        )
    assert client.get_job(job_id).priority == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"id": "not valid!"}, "InvalidPropertyValue"),
        ({"id": "t", "command_line": "  "}, "InvalidPropertyValue"),
        ({"id": "t", "required_slots": 0}, "InvalidPropertyValue"),
        ({"id": "t", "resource_files": [models.ResourceFile(http_url="http://x/y")]}, "UnsupportedProperty"),
        ({"id": "t", "depends_on": models.BatchTaskDependencies(task_ids=["x"])}, "TaskDependenciesNotSpecifiedOnJob"),
    ],
)
def test_a_task_that_batch_would_refuse_is_refused(client: BatchClient, options: dict[str, Any], code: str) -> None:
    job_id = create_job(client)
    with pytest.raises(HttpResponseError) as caught:
        client.create_task(job_id, models.BatchTaskCreateOptions(**{"command_line": "x", **options}))
    assert (caught.value.status_code, error_code(caught.value)) == (400, code)


def test_a_wrong_key_is_forbidden(service: BatchProcess) -> None:
    with service.client("d3Jvbmc=") as stranger, pytest.raises(HttpResponseError) as caught:
        stranger.get_job("any")
    assert (caught.value.status_code, error_code(caught.value)) == (403, "AuthenticationFailed")


def test_priority_decides_who_goes_first(client: BatchClient) -> None:
    client.create_pool(models.BatchPoolCreateOptions(id="narrow", vm_size="x", target_dedicated_nodes=0))
    low = create_job(client, task("t", "pass"), pool="narrow", priority=-5)
    high = create_job(client, task("t", "pass"), pool="narrow", priority=5)
    client.begin_resize_pool(
        "narrow", models.BatchPoolResizeOptions(target_dedicated_nodes=1), polling_interval=0
    ).wait()
    first, second = execution_info(ended_task(client, high, "t")), execution_info(ended_task(client, low, "t"))
    assert first.end_time is not None
    assert second.start_time is not None
    assert first.end_time <= second.start_time
    client.begin_delete_pool("narrow", polling_interval=0).result()
    with pytest.raises(ResourceNotFoundError):
        client.get_pool("narrow")
