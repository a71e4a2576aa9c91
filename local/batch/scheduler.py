"""Scheduler of the Batch service: places tasks on nodes, ends jobs, adds and removes nodes.

One asyncio loop owns everything. Requests change records through the methods here and wake the loop. Each step checks
everything that may be due and starts the tasks that can run.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.batch.errors import conflict
from local.batch.executions import Executions
from local.batch.exits import job_action, retries_left, satisfies_dependents
from local.batch.placement import choose_node, dependencies_met, free_slots
from local.batch.pools import PoolScaler
from local.batch.processes import kill_orphans
from local.batch.records import Failure
from local.batch.runner import Execution, task_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.batch.records import JobRecord, JobState, NodeRecord, PoolRecord, TaskRecord, TaskState
    from local.batch.runner import Account, EndReason, Outcome
    from local.batch.state import State

__all__ = ["Options", "Scheduler"]

_log = logging.getLogger(__name__)

_RETENTION_CHECK_SECONDS = 60.0
_STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Options:
    """Speed and size of the service.

    Attributes
    ----------
    autoscale_seconds
        Seconds that stand for 5 minutes, the shortest interval between autoscale evaluations on Azure.
    node_start_seconds
        Seconds that a node takes to start.
    max_slots
        Limit of the slots in use over all pools.
    """

    autoscale_seconds: float
    node_start_seconds: float
    max_slots: int


class Scheduler:
    """Run the tasks of a :class:`State`.

    Parameters
    ----------
    state
        Pools, jobs and tasks.
    account
        Account name, URL and folder.
    options
        Speed and size of the service.
    clock
        Current time in UTC.
    monotonic
        Monotonic clock, in seconds.
    """

    def __init__(
        self,
        state: State,
        account: Account,
        options: Options,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = state
        self.account = account
        self.clock = clock
        self._options = options
        self._monotonic = monotonic
        self._wake = asyncio.Event()
        self._executions = Executions()
        self._waiting: dict[str, dict[str, TaskRecord]] = {}
        self._ended_counts: dict[str, list[int]] = {}
        self._scalers: dict[str, PoolScaler] = {}
        self._retention_checked = 0.0
        self._stopping = False
        self._recover()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            self.step()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._seconds_to_wait())

    def wake(self) -> None:
        """Run the next step soon, as something has changed."""
        self._wake.set()

    async def stop(self) -> None:
        """End all tasks now; the service runs them again at its next start."""
        self._stopping = True
        await self._executions.stop(_STOP_SECONDS)

    def step(self) -> None:
        """Do everything that is due now."""
        with self.state.transaction():
            self._expire_jobs()
            self._settle_jobs()
            for pool in self.state.pools():
                self._tend_pool(pool)
            self._assign()
            self._clean_up()

    def _seconds_to_wait(self) -> float:
        moments = [_RETENTION_CHECK_SECONDS]
        moments += [moment for scaler in self._scalers.values() if (moment := scaler.next_moment()) is not None]
        now = self.clock()
        for job in self.state.jobs():
            limit = job.spec.constraints.max_wall_clock_time
            if job.ended is None and limit is not None:
                moments.append(limit.total_seconds() - (now - job.created).total_seconds())
        return max(0.01, min(moments))

    def _recover(self) -> None:
        running = [task for task in self.state.all_tasks() if task.state == "running"]
        recorded = [(task.pid, task.pid_created) for task in running if task.pid and task.pid_created]
        killed = kill_orphans([(pid, created) for pid, created in recorded if created], self.account.folder)
        with self.state.transaction():
            for pool in self.state.pools():
                self.scaler(pool).restart_nodes()
                self.state.save(pool)
            for job in self.state.jobs():
                self._waiting[job.spec.id] = {}
                self._ended_counts[job.spec.id] = [0, 0]
            for task in self.state.all_tasks():
                if task.state == "running":
                    self._requeue(task)
                elif task.state == "active":
                    self._waiting[task.job_id][task.spec.id] = task
                else:
                    self._ended_counts[task.job_id][task.failure is not None] += 1
        if running:
            _log.warning(
                "%d tasks were running when the service ended; they will run again (%d leftover processes were ended)",
                len(running),
                killed,
            )

    def scaler(self, pool: PoolRecord) -> PoolScaler:
        """Return the scaler of a pool."""
        scaler = self._scalers.get(pool.spec.id)
        if scaler is None or scaler.record is not pool:
            scaler = self._scalers[pool.spec.id] = PoolScaler(
                pool,
                clock=self.clock,
                monotonic=self._monotonic,
                interval_seconds=self._options.autoscale_seconds,
                start_seconds=self._options.node_start_seconds,
            )
        return scaler

    def running_on(self, pool: PoolRecord) -> dict[str, list[TaskRecord]]:
        """Return the running tasks by node id."""
        return self._executions.by_node(pool.spec.id)

    def count_tasks(self, pool: PoolRecord) -> int:
        """Record the task counts that formulas read, and return the number of tasks that could start."""
        jobs = [job for job in self.state.jobs() if job.spec.pool_info.pool_id.lower() == pool.spec.id.lower()]
        active = sum(self._count_ready(job) for job in jobs if job.state == "active")
        self.scaler(pool).record_counts(
            active=active,
            running=sum(map(len, self.running_on(pool).values())),
            succeeded=sum(self._ended_counts[job.spec.id][0] for job in jobs),
            failed=sum(self._ended_counts[job.spec.id][1] for job in jobs),
        )
        return active

    def _tend_pool(self, pool: PoolRecord) -> None:
        scaler = self.scaler(pool)
        if pool.state == "deleting":
            scaler.set_targets(0, 0, "requeue")
        else:
            scaler.autoscale(waiting=self.count_tasks(pool) > 0)
        before = [(node.id, node.state) for node in pool.nodes]
        running = self.running_on(pool)
        counts = {node: len(tasks) for node, tasks in running.items()}
        for node in scaler.resize(counts):
            if pool.deallocation in {"requeue", "terminate"}:
                self._executions.end(running.get(node.id, []), pool.deallocation)
        for node in scaler.settle(counts):
            self._drop_files(
                task
                for task in self.state.all_tasks()
                if (task.pool_id, task.node_id) == (pool.spec.id, node.id) and task.files_kept
            )
        if pool.state == "deleting" and not pool.nodes:
            self.state.delete(pool)
            del self._scalers[pool.spec.id]
        elif before != [(node.id, node.state) for node in pool.nodes]:
            self.state.save(pool)

    def _count_ready(self, job: JobRecord) -> int:
        waiting = self._waiting[job.spec.id]
        if not job.spec.uses_task_dependencies:
            return len(waiting)
        return sum(dependencies_met(self.state, task) for task in waiting.values())

    def _assign(self) -> None:
        free = self._options.max_slots - sum(task.spec.required_slots for task in self._executions.tasks())
        for job in sorted(self.state.jobs(), key=lambda job: (-job.spec.priority, job.sequence)):
            pool = self.state.find_pool(job.spec.pool_info.pool_id)
            if job.state != "active" or pool is None or pool.state != "active":
                continue
            parallel = len(self._executions.of_job(job.spec.id))
            slots = free_slots(pool, self.running_on(pool))
            for task in tuple(self._waiting[job.spec.id].values()):
                if free <= 0 or parallel == job.spec.max_parallel_tasks or not any(slots.values()):
                    break
                if not dependencies_met(self.state, task):
                    continue
                needed = task.spec.required_slots
                # A task larger than the limit runs alone, since it would run on Azure too.
                node = choose_node(pool, slots, needed) if needed <= free or not self._executions else None
                if node is not None:
                    slots[node.id] -= needed
                    free -= needed
                    parallel += 1
                    self._start(job, task, pool, node)

    def _start(self, job: JobRecord, task: TaskRecord, pool: PoolRecord, node: NodeRecord) -> None:
        del self._waiting[job.spec.id][task.spec.id]
        self._move(task, "running")
        task.node_id, task.pool_id = node.id, pool.spec.id
        task.started, task.ended = self.clock(), None
        task.exit_code, task.failure = None, None
        task.files_kept = True
        node.tasks_run += 1
        node.state, node.state_since = "running", self.clock()
        environment = task_environment(
            os.environ, task, node, self.account, pool.spec.id, job.spec.common_environment_settings
        )

        def started(pid: int, created: float | None) -> None:
            task.pid, task.pid_created = pid, created
            if execution.end_reason != "delete":
                self.state.save(task)

        execution = Execution(task, node, self.account, environment, started)
        self._executions.start(execution, self._execute(execution))
        self.state.save(task)

    async def _execute(self, execution: Execution) -> None:
        outcome = await execution.run()
        if self._stopping:
            return
        task = execution.task
        self._executions.remove(task)
        if execution.end_reason != "delete":
            with self.state.transaction():
                self._finish(execution, outcome)
        self.wake()

    def _finish(self, execution: Execution, outcome: Outcome) -> None:
        task, job = execution.task, self.state.job(execution.task.job_id)
        task.pid = task.pid_created = None
        if execution.end_reason == "requeue":
            self._requeue(task)
            return
        task.ended, task.exit_code, task.failure = self.clock(), outcome.exit_code, outcome.failure
        if execution.end_reason is None and retries_left(job.spec, task.spec, task.retries, outcome):
            task.retries += 1
            task.last_retry = self.clock()
            self._wait(task)
            return
        execution.node.tasks_succeeded += outcome.failure is None
        task.satisfies = satisfies_dependents(task.spec, outcome)
        self._complete(task)
        match job_action(job.spec, task.spec, outcome) if job.state == "active" else "none":
            case "terminate":
                self.terminate_job(job, "TaskFailed")
            case "disable":
                self.disable_job(job, "requeue")

    def add_task(self, task: TaskRecord) -> None:
        """Add a new task."""
        self._waiting[task.job_id][task.spec.id] = task
        self.state.save(task)
        self.wake()

    def terminate_task(self, task: TaskRecord) -> None:
        """End a running or waiting task as failed."""
        if task.state == "completed":
            raise conflict("TaskCompleted")
        if task.state == "running":
            self._executions.end([task], "terminate")
            return
        del self._waiting[task.job_id][task.spec.id]
        task.ended = self.clock()
        task.failure = Failure("TaskEnded", "Task was ended by user request.")
        self._complete(task)
        self.wake()

    def reactivate_task(self, task: TaskRecord) -> None:
        """Run a failed task again, with its retry count reset."""
        if task.state != "completed":
            raise conflict("TaskNotCompleted")
        if task.failure is None:
            raise conflict("TaskSucceeded")
        self._ended_counts[task.job_id][1] -= 1
        task.retries, task.requeues = 0, 0
        task.failure = None
        self._wait(task)
        self.wake()

    def delete_task(self, task: TaskRecord) -> None:
        """Delete a task, its process and its files."""
        self._executions.end([task], "delete")
        self._waiting[task.job_id].pop(task.spec.id, None)
        if task.state == "completed":
            self._ended_counts[task.job_id][task.failure is not None] -= 1
        self._drop_files([task])
        self.state.delete(task)
        self.wake()

    def _requeue(self, task: TaskRecord) -> None:
        task.requeues += 1
        task.last_requeue = self.clock()
        task.pid = task.pid_created = None
        task.started = None
        self._wait(task)

    def _wait(self, task: TaskRecord) -> None:
        self._move(task, "active")
        self._waiting[task.job_id][task.spec.id] = task
        self.state.save(task)

    def _complete(self, task: TaskRecord) -> None:
        self._move(task, "completed")
        self._ended_counts[task.job_id][task.failure is not None] += 1
        self.state.save(task)

    def _move(self, task: TaskRecord, state: TaskState) -> None:
        task.previous_state, task.previous_since = task.state, task.state_since
        task.state = state
        task.state_since = task.modified = self.clock()

    def add_job(self, job: JobRecord) -> None:
        """Add a new job."""
        self._waiting[job.spec.id] = {}
        self._ended_counts[job.spec.id] = [0, 0]
        self.state.save(job)

    def move_job(self, job: JobRecord, state: JobState) -> None:
        """Change the state of a job."""
        now = self.clock()
        job.previous_state, job.previous_since = job.state, job.state_since
        job.state, job.state_since, job.modified = state, now, now
        self.state.save(job)
        self.wake()

    def terminate_job(self, job: JobRecord, reason: str) -> None:
        """End a job: its running tasks fail, its waiting tasks never run."""
        job.terminate_reason = reason
        self.move_job(job, "terminating")
        self._end_tasks_of(job, "job-terminated")

    def disable_job(self, job: JobRecord, running: str) -> None:
        """Start no more tasks of a job; ``running`` says what happens to running ones (wait, terminate, requeue)."""
        self.move_job(job, "disabling")
        if running != "wait":
            self._end_tasks_of(job, "terminate" if running == "terminate" else "requeue")

    def delete_job(self, job: JobRecord) -> None:
        """Delete a job and its tasks as soon as their processes have ended."""
        self.move_job(job, "deleting")
        self._end_tasks_of(job, "delete")

    def _end_tasks_of(self, job: JobRecord, reason: EndReason) -> None:
        self._executions.end(self._executions.of_job(job.spec.id), reason)

    def _expire_jobs(self) -> None:
        now = self.clock()
        for job in self.state.jobs():
            limit = job.spec.constraints.max_wall_clock_time
            if job.state in {"active", "disabling", "disabled"} and limit is not None and now >= job.created + limit:
                self.terminate_job(job, "MaxWallClockTimeExpiry")

    def _settle_jobs(self) -> None:
        busy = {task.job_id for task in self._executions.tasks()}
        for job in self.state.jobs():
            if job.spec.id in busy:
                continue
            if job.state == "active" and job.spec.on_all_tasks_complete == "terminatejob":
                if not self._waiting[job.spec.id]:
                    self.terminate_job(job, "AllTasksComplete")
            elif job.state == "disabling":
                self.move_job(job, "disabled")
            if job.state == "terminating":
                job.ended = self.clock()
                self.move_job(job, "completed")
            elif job.state == "deleting":
                self.state.delete(job)
                del self._waiting[job.spec.id], self._ended_counts[job.spec.id]
                shutil.rmtree(self.account.folder / "workitems" / job.spec.id.lower(), ignore_errors=True)

    def _clean_up(self) -> None:
        if self._monotonic() < self._retention_checked + _RETENTION_CHECK_SECONDS:
            return
        self._retention_checked = self._monotonic()
        now = self.clock()
        self._drop_files(
            task
            for task in self.state.all_tasks()
            if task.state == "completed"
            and task.files_kept
            and task.ended is not None
            and now - task.ended >= task.spec.constraints.retention_time
        )

    def _drop_files(self, tasks: Iterable[TaskRecord]) -> None:
        for task in tasks:
            shutil.rmtree(self.account.task_folder(task.job_id, task.spec.id), ignore_errors=True)
            task.files_kept = False
            self.state.save(task)
