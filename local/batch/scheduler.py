"""The scheduler: which task runs where, what its end means, when jobs end and nodes come and go.

One asyncio loop owns everything. Requests change records through the methods here and wake the loop; a step looks at
everything that may be due and starts what can run.
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
from local.batch.exits import job_action, retries_left, satisfies_dependents
from local.batch.pools import PoolScaler
from local.batch.processes import kill_orphans
from local.batch.records import Failure
from local.batch.runner import Execution, task_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.batch.records import JobRecord, JobState, NodeRecord, PoolRecord, TaskRecord
    from local.batch.runner import Account, EndReason, Outcome
    from local.batch.state import State

__all__ = ["Options", "Scheduler"]

_log = logging.getLogger(__name__)

_RETENTION_CHECK_SECONDS = 60.0
_STOP_SECONDS = 1.0


@dataclass(frozen=True)
class Options:
    """How quick and how large the service is.

    ``autoscale_seconds`` stand for the 5 minutes that are the shortest interval between evaluations on Azure;
    ``max_slots`` caps the slots in use over all pools.
    """

    autoscale_seconds: float
    node_start_seconds: float
    max_slots: int


class Scheduler:
    """Runs the tasks of a :class:`State`.

    Parameters
    ----------
    state
        Pools, jobs and tasks.
    account
        Names and folders.
    options
        How quick and how large.
    clock, monotonic
        The time in UTC, and monotonic seconds.
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
        self._executions: dict[tuple[str, str], tuple[Execution, asyncio.Task[None]]] = {}
        self._waiting: dict[str, dict[str, TaskRecord]] = {}
        self._ended_counts: dict[str, list[int]] = {}
        self._scalers: dict[str, PoolScaler] = {}
        self._retention_checked = 0.0
        self._stopping = False
        self._recover()

    # ---- the loop ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            self.step()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._seconds_to_wait())

    def wake(self) -> None:
        """Look again soon: something has changed."""
        self._wake.set()

    async def stop(self) -> None:
        """End all tasks at once; the next service runs them again."""
        self._stopping = True
        executions = list(self._executions.values())
        for execution, _ in executions:
            execution.end("shutdown")
        if executions:
            _, late = await asyncio.wait([running for _, running in executions], timeout=_STOP_SECONDS)
            for running in late:
                running.cancel()

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

    # ---- start -------------------------------------------------------------------------------------------------------

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
                "%d tasks were running when the service ended: they run again (%d processes were left over)",
                len(running),
                killed,
            )

    # ---- pools -------------------------------------------------------------------------------------------------------

    def scaler(self, pool: PoolRecord) -> PoolScaler:
        """Return what moves a pool's nodes."""
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
        nodes: dict[str, list[TaskRecord]] = {}
        for execution, _ in self._executions.values():
            if execution.task.pool_id == pool.spec.id:
                nodes.setdefault(execution.node.id, []).append(execution.task)
        return nodes

    def count_tasks(self, pool: PoolRecord) -> int:
        """Bring the counts that formulas look at up to date; return how many tasks could start."""
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
                reason: EndReason = "requeue" if pool.deallocation == "requeue" else "terminate"
                self._end_tasks(running.get(node.id, []), reason)
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

    # ---- assignment --------------------------------------------------------------------------------------------------

    def _count_ready(self, job: JobRecord) -> int:
        waiting = self._waiting[job.spec.id]
        if not job.spec.uses_task_dependencies:
            return len(waiting)
        return sum(map(self._dependencies_met, waiting.values()))

    def _dependencies_met(self, task: TaskRecord) -> bool:
        wanted = task.spec.depends_on
        ids: Iterable[str] = wanted.task_ids
        for span in wanted.task_id_ranges:
            ids = [*ids, *map(str, range(span.start, span.end + 1))]
        needed = (self.state.find_task(task.job_id, task_id) for task_id in ids)
        return all(other is not None and other.state == "completed" and other.satisfies for other in needed)

    def _assign(self) -> None:
        free = self._options.max_slots - sum(
            execution.task.spec.required_slots for execution, _ in self._executions.values()
        )
        for job in sorted(self.state.jobs(), key=lambda job: (-job.spec.priority, job.sequence)):
            pool = self.state.find_pool(job.spec.pool_info.pool_id)
            if job.state != "active" or pool is None or pool.state != "active":
                continue
            parallel = sum(execution.task.job_id == job.spec.id for execution, _ in self._executions.values())
            slots = self._free_slots(pool)
            for task in tuple(self._waiting[job.spec.id].values()):
                if free <= 0 or parallel == job.spec.max_parallel_tasks or not any(slots.values()):
                    break
                if not self._dependencies_met(task):
                    continue
                needed = task.spec.required_slots
                # A task larger than the cap still runs, alone, as one larger than this machine would on Azure.
                node = _choose(pool, slots, needed) if needed <= free or not self._executions else None
                if node is not None:
                    slots[node.id] -= needed
                    free -= needed
                    parallel += 1
                    self._start(job, task, pool, node)

    def _free_slots(self, pool: PoolRecord) -> dict[str, int]:
        running = self.running_on(pool)
        return {
            node.id: pool.spec.task_slots_per_node - sum(task.spec.required_slots for task in running.get(node.id, []))
            for node in pool.nodes
            if node.state in {"idle", "running"}
        }

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
        running = asyncio.get_running_loop().create_task(self._execute(execution))
        self._executions[job.spec.id, task.spec.id] = (execution, running)
        self.state.save(task)

    async def _execute(self, execution: Execution) -> None:
        outcome = await execution.run()
        if self._stopping:
            return
        task = execution.task
        del self._executions[task.job_id, task.spec.id]
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

    # ---- tasks -------------------------------------------------------------------------------------------------------

    def add_task(self, task: TaskRecord) -> None:
        """Take a new task in."""
        self._waiting[task.job_id][task.spec.id] = task
        self.state.save(task)
        self.wake()

    def terminate_task(self, task: TaskRecord) -> None:
        """End a task as failed, whether it runs or waits."""
        if task.state == "completed":
            raise conflict("TaskCompleted")
        if task.state == "running":
            self._end_tasks([task], "terminate")
            return
        del self._waiting[task.job_id][task.spec.id]
        task.ended = self.clock()
        task.failure = Failure("TaskEnded", "Task was ended by user request.")
        self._complete(task)
        self.wake()

    def reactivate_task(self, task: TaskRecord) -> None:
        """Let a failed task run again, with its retries counted anew."""
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
        """Forget a task, its process and its files."""
        self._end_tasks([task], "delete")
        self._waiting[task.job_id].pop(task.spec.id, None)
        if task.state == "completed":
            self._ended_counts[task.job_id][task.failure is not None] -= 1
        self._drop_files([task])
        self.state.delete(task)
        self.wake()

    def _end_tasks(self, tasks: Iterable[TaskRecord], reason: EndReason) -> None:
        for task in tasks:
            if (running := self._executions.get((task.job_id, task.spec.id))) is not None:
                running[0].end(reason)

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

    def _move(self, task: TaskRecord, state: str) -> None:
        now = self.clock()
        task.previous_state, task.previous_since = task.state, task.state_since
        match state:
            case "active" | "running" | "completed":
                task.state = state
        task.state_since = task.modified = now

    # ---- jobs --------------------------------------------------------------------------------------------------------

    def add_job(self, job: JobRecord) -> None:
        """Take a new job in."""
        self._waiting[job.spec.id] = {}
        self._ended_counts[job.spec.id] = [0, 0]
        self.state.save(job)

    def move_job(self, job: JobRecord, state: JobState) -> None:
        """Put a job into another state."""
        now = self.clock()
        job.previous_state, job.previous_since = job.state, job.state_since
        job.state, job.state_since, job.modified = state, now, now
        self.state.save(job)
        self.wake()

    def terminate_job(self, job: JobRecord, reason: str) -> None:
        """End a job: running tasks end as failed, waiting ones stay as they are and never run."""
        job.terminate_reason = reason
        self.move_job(job, "terminating")
        self._end_tasks(self._running_of(job), "job-terminated")

    def disable_job(self, job: JobRecord, running: str) -> None:
        """Let no more of a job's tasks start; ``running`` says what happens to those under way."""
        self.move_job(job, "disabling")
        if running != "wait":
            self._end_tasks(self._running_of(job), "terminate" if running == "terminate" else "requeue")

    def delete_job(self, job: JobRecord) -> None:
        """Forget a job and its tasks as soon as their processes have ended."""
        self.move_job(job, "deleting")
        self._end_tasks(self._running_of(job), "delete")

    def _running_of(self, job: JobRecord) -> list[TaskRecord]:
        return [execution.task for execution, _ in self._executions.values() if execution.task.job_id == job.spec.id]

    def _expire_jobs(self) -> None:
        now = self.clock()
        for job in self.state.jobs():
            limit = job.spec.constraints.max_wall_clock_time
            if job.state in {"active", "disabling", "disabled"} and limit is not None and now >= job.created + limit:
                self.terminate_job(job, "MaxWallClockTimeExpiry")

    def _settle_jobs(self) -> None:
        busy = {execution.task.job_id for execution, _ in self._executions.values()}
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

    # ---- files -------------------------------------------------------------------------------------------------------

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


def _choose(pool: PoolRecord, slots: dict[str, int], needed: int) -> NodeRecord | None:
    fitting = [node for node in pool.nodes if slots.get(node.id, 0) >= needed]
    if not fitting:
        return None
    pack = pool.spec.task_scheduling_policy.node_fill_type == "pack"
    return (min if pack else max)(fitting, key=lambda node: slots[node.id])
