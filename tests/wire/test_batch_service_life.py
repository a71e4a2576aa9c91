"""The local Batch service's life: nodes that come and go, kills, signals, and what it refuses to start with."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil
import pytest
from azure.batch import models
from azure.core.exceptions import (
    HttpResponseError,
)
from batch_jobs import create_job, execution_info, file_text, is_zombie, task
from batch_process import KEY, BatchProcess, pick_port
from local_stack import wait_until

from sensorwatch.scheduling.batch_client import autoscale_formula

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.wire


@pytest.fixture
def running(tmp_path: Path) -> Iterator[BatchProcess]:
    with BatchProcess(pick_port(), tmp_path / "running") as process:
        yield process


def test_a_pool_scales_from_no_node_to_what_its_tasks_need_and_back(free_port: int, tmp_path: Path) -> None:
    options = ("--autoscale-seconds", "0.3", "--max-slots", "8")
    with BatchProcess(free_port, tmp_path, *options) as service, service.client() as client:
        client.create_pool(
            models.BatchPoolCreateOptions(
                id="auto",
                vm_size="x",
                task_slots_per_node=2,
                enable_auto_scale=True,
                auto_scale_formula=autoscale_formula(max_nodes=3, slots_per_node=2),
                auto_scale_evaluation_interval=timedelta(minutes=5),
            )
        )
        assert client.get_pool("auto").current_dedicated_nodes == 0
        gate = tmp_path / "gate"
        wait = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
        job_id = create_job(client, *[task(f"t{number}", wait) for number in range(9)], pool="auto")
        wait_until(lambda: client.get_job_task_counts(job_id).task_counts.running == 6, "six tasks run on three nodes")
        assert {node.state for node in client.list_nodes("auto")} == {"running"}
        run = client.evaluate_pool_auto_scale(
            "auto", models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula="$TargetDedicatedNodes = 1 / 0;")
        )
        assert run.error is not None
        gate.touch()
        wait_until(lambda: client.get_pool("auto").current_dedicated_nodes == 0, "all nodes have left")
        assert client.get_job_task_counts(job_id).task_counts.succeeded == 9
        with pytest.raises(HttpResponseError) as caught:
            file_text(client, job_id, "t0", "stdout.txt")
        assert caught.value.status_code == 409


def test_tasks_under_way_when_the_service_is_killed_run_again(free_port: int, tmp_path: Path) -> None:
    with BatchProcess(free_port, tmp_path / "data") as service, service.client() as client:
        client.create_pool(models.BatchPoolCreateOptions(id="fixed", vm_size="x", target_dedicated_nodes=1))
        marker = tmp_path / "tries"
        code = (
            "import os, pathlib, time; "
            f"tries = pathlib.Path({str(marker)!r}); tries.open('a').write(f'{{os.getpid()}} '); "
            "time.sleep(600 if len(tries.read_text().split()) == 1 else 0)"
        )
        job_id = create_job(client, task("t", code), task("next", "pass"))
        client.update_job(job_id, models.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob"))
        wait_until(lambda: marker.exists() and marker.read_text().endswith(" "), "the first try runs")
        first = int(marker.read_text())
        service.end(signal.SIGKILL)
        assert psutil.pid_exists(first)
        service.start()
        wait_until(lambda: not psutil.pid_exists(first) or is_zombie(first), "the orphan is gone")
        wait_until(lambda: client.get_job(job_id).state == "completed", "the job is completed")
        info = execution_info(client.get_task(job_id, "t"))
        assert (info.result, info.requeue_count, info.retry_count) == ("success", 1, 0)
        assert len(marker.read_text().split()) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_and_its_tasks_within_three_seconds(
    free_port: int, tmp_path: Path, number: signal.Signals
) -> None:
    service = BatchProcess(free_port, tmp_path)
    service.start()
    child = _running_task(service)
    assert service.end(number) < 3
    assert service.process is not None
    assert service.process.returncode == 0
    assert not psutil.pid_exists(child)


def test_the_service_ends_with_its_parent(free_port: int, tmp_path: Path) -> None:
    service = BatchProcess(free_port, tmp_path)
    service.start()
    child = _running_task(service)
    assert service.process is not None
    assert service.process.stdin is not None
    service.process.stdin.close()
    assert service.process.wait(timeout=5) == 0
    assert not psutil.pid_exists(child)
    assert service.process.stdout is not None
    service.process.stdout.close()


def _running_task(service: BatchProcess) -> int:
    with service.client() as client:
        client.create_pool(models.BatchPoolCreateOptions(id="fixed", vm_size="x", target_dedicated_nodes=1))
        job_id = create_job(client, task("t", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"))
        wait_until(lambda: client.get_task(job_id, "t").state == "running", "the task runs")
        wait_until(lambda: bool(file_text(client, job_id, "t", "stdout.txt")), "the task has begun")
        return int(file_text(client, job_id, "t", "stdout.txt"))


def test_a_taken_port_is_named_in_one_line(running: BatchProcess, tmp_path: Path) -> None:
    port = running.url.rpartition(":")[2]
    command = [sys.executable, "-m", "local.batch", "--port", port, "--data", str(tmp_path), "--account", "local"]
    done = subprocess.run(command, capture_output=True, text=True, env={"BATCH_ACCOUNT_KEY": KEY}, check=False)
    assert done.returncode == 3
    assert port in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_key_the_service_does_not_start(free_port: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.batch", "--port", str(free_port), "--data", str(tmp_path)]
    done = subprocess.run([*command, "--account", "local"], capture_output=True, text=True, env={}, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("BATCH_ACCOUNT_KEY: ")


def test_two_services_do_not_share_a_folder(running: BatchProcess, free_port: int) -> None:
    command = [sys.executable, "-m", "local.batch", "--port", str(free_port), "--data", str(running.data)]
    environment = {"BATCH_ACCOUNT_KEY": KEY}
    done = subprocess.run(
        [*command, "--account", "local"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 4
    assert "another Batch service uses this folder" in done.stderr
