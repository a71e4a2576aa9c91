"""Execution of a task: its directory, environment and process, then its output files."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from local.batch.outputs import upload
from local.batch.processes import NODE_ROOT, created_at, kill_group
from local.batch.records import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from local.batch.records import EnvironmentSetting, NodeRecord, TaskRecord

__all__ = ["KEY_VARIABLE", "Account", "Execution", "Outcome", "task_environment"]

KEY_VARIABLE = "BATCH_ACCOUNT_KEY"

EndReason = Literal["requeue", "terminate", "job-terminated", "timeout", "delete", "shutdown"]

_ENDED = {
    "terminate": Failure("TaskEnded", "Task was ended by user request."),
    "job-terminated": Failure("TaskEnded", "Task was ended because its job was terminated."),
}


@dataclass(frozen=True)
class Account:
    """The account: its name, its URL and the service's folder."""

    name: str
    url: str
    folder: Path

    def task_folder(self, job_id: str, task_id: str) -> Path:
        """Return the directory of a task."""
        return self.folder / "workitems" / job_id.lower() / task_id.lower()


@dataclass(frozen=True)
class Outcome:
    """The end of one run of a task; a ``failure`` of None is success."""

    exit_code: int | None
    failure: Failure | None
    stage: Literal["start", "run", "upload"] = "run"


class Execution:
    """One run of a task on a node.

    Parameters
    ----------
    task, node
        The task and its node.
    account
        Account of the service.
    environment
        Complete environment of the task.
    started
        Called with (process id, its creation time) when the process has started.
    """

    def __init__(
        self,
        task: TaskRecord,
        node: NodeRecord,
        account: Account,
        environment: Mapping[str, str],
        started: Callable[[int, float | None], None],
    ) -> None:
        self.task = task
        self.node = node
        self.end_reason: EndReason | None = None
        self._folder = account.task_folder(task.job_id, task.spec.id)
        self._environment = environment
        self._started = started
        self._process: asyncio.subprocess.Process | None = None

    def end(self, reason: EndReason) -> None:
        """Kill the process and its group; the first reason given counts."""
        self.end_reason = self.end_reason or reason
        if self._process is not None:
            kill_group(self._process.pid)

    async def run(self) -> Outcome:
        """Run the task to its end, upload its output files and return the outcome."""
        if self.task.spec.container_settings:
            return _not_started("ContainerPoolNotSupported", "The nodes of the local Batch service run no containers.")
        try:
            arguments = shlex.split(self.task.spec.command_line)
        except ValueError as exc:
            return _not_started("CommandLaunchFailed", f"Failed to launch the specified command line: {exc}")
        try:
            (self._folder / "wd").mkdir(parents=True, exist_ok=True)
            with (self._folder / "stdout.txt").open("wb") as stdout, (self._folder / "stderr.txt").open("wb") as stderr:
                outcome = await self._run_process(arguments, stdout, stderr)
        except OSError as exc:
            return _not_started("ResourceDirectoryCreateFailed", f"The task's directory can't be used: {exc}")
        if self.end_reason not in {None, "timeout"}:
            return outcome
        return await self._upload(outcome)

    async def _run_process(self, arguments: Sequence[str], stdout: BinaryIO, stderr: BinaryIO) -> Outcome:
        if self.end_reason is not None:
            return Outcome(None, _ENDED.get(self.end_reason), "start")
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                cwd=self._folder / "wd",
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError):
            return _not_started("CommandProgramNotFound", f"The specified command program is not found: {arguments[0]}")
        except (OSError, ValueError, IndexError) as exc:
            return _not_started("CommandLaunchFailed", f"Failed to launch the specified command line: {exc}")
        self._process = process
        self._started(process.pid, created_at(process.pid))
        if self.end_reason is not None:
            kill_group(process.pid)
        try:
            code = await asyncio.wait_for(process.wait(), self._time_limit())
        except TimeoutError:
            self.end("timeout")
            code = await process.wait()
        # Processes that the task left running end with it, as on a node of Azure Batch.
        kill_group(process.pid)
        self._process = None
        return self._judge(code if code >= 0 else 128 - code)

    def _time_limit(self) -> float | None:
        limit = self.task.spec.constraints.max_wall_clock_time
        return None if limit is None else limit.total_seconds()

    def _judge(self, code: int) -> Outcome:
        if self.end_reason == "timeout":
            limit = self.task.spec.constraints.max_wall_clock_time
            return Outcome(code, Failure("TaskEnded", f"Task was ended at its maxWallClockTime ({limit})."))
        if self.end_reason is not None:
            return Outcome(code, _ENDED.get(self.end_reason))
        if code:
            details = (("Message", f"The task process exited with exit code {code}"),)
            message = "The task exited with an exit code representing a failure"
            return Outcome(code, Failure("FailureExitCode", message, details))
        return Outcome(code, None)

    async def _upload(self, outcome: Outcome) -> Outcome:
        conditions = {"taskcompletion", "tasksuccess" if outcome.failure is None else "taskfailure"}
        wanted = [file for file in self.task.spec.output_files if file.upload_options.upload_condition in conditions]
        if not wanted or outcome.stage == "start":
            return outcome
        storage = os.environ.get("AzureWebJobsStorage") or None  # noqa: SIM112 - the name that Functions gives it
        failure = await _in_daemon_thread(partial(upload, wanted, self._folder, storage))
        if failure is None or outcome.failure is not None:
            return outcome
        return Outcome(outcome.exit_code, failure, "upload")


async def _in_daemon_thread(call: Callable[[], Failure | None]) -> Failure | None:
    # An executor's threads are joined when the loop ends, which would delay a stop while storage is unavailable.
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Failure | None] = loop.create_future()

    def work() -> None:
        failure = call()
        with suppress(RuntimeError):  # the loop is closed and nothing waits for the result
            loop.call_soon_threadsafe(deliver, failure)

    def deliver(failure: Failure | None) -> None:
        if not result.cancelled():
            result.set_result(failure)

    threading.Thread(target=work, name="upload", daemon=True).start()
    return await result


def _not_started(code: str, message: str) -> Outcome:
    return Outcome(None, Failure(code, message), "start")


def task_environment(
    base: Mapping[str, str],
    task: TaskRecord,
    node: NodeRecord,
    account: Account,
    pool_id: str,
    common: Sequence[EnvironmentSetting],
) -> dict[str, str]:
    """Return the environment of a task: the variables of node, job, task and Batch, of which later ones win.

    The folder of this interpreter comes first in PATH, so that ``python`` in a command line is the one that has the
    project installed.

    Parameters
    ----------
    base
        Environment of the service, which stands for the node's; the account's key is left out.
    task, node
        The task and its node.
    account
        Account of the service.
    pool_id
        Pool of the node.
    common
        Variables of the job.
    """
    folder = account.task_folder(task.job_id, task.spec.id)
    environment = {name: value for name, value in base.items() if name != KEY_VARIABLE}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), base.get("PATH", os.defpath)])
    environment |= {setting.name: setting.value or "" for setting in [*common, *task.spec.environment_settings]}
    return environment | {
        "AZ_BATCH_ACCOUNT_NAME": account.name,
        "AZ_BATCH_ACCOUNT_URL": account.url,
        "AZ_BATCH_JOB_ID": task.job_id,
        "AZ_BATCH_NODE_ID": node.id,
        "AZ_BATCH_NODE_IS_DEDICATED": str(node.dedicated).lower(),
        NODE_ROOT: str(account.folder),
        "AZ_BATCH_NODE_SHARED_DIR": str(account.folder / "shared"),
        "AZ_BATCH_POOL_ID": pool_id,
        "AZ_BATCH_TASK_DIR": str(folder),
        "AZ_BATCH_TASK_ID": task.spec.id,
        "AZ_BATCH_TASK_WORKING_DIR": str(folder / "wd"),
    }
