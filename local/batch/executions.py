"""The running tasks of the Batch service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from local.batch.records import TaskRecord
    from local.batch.runner import EndReason, Execution

__all__ = ["Executions"]


class Executions:
    """The execution of each running task, with the asyncio task that waits for its end."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], tuple[Execution, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, execution: Execution, work: Coroutine[None, None, None]) -> None:
        """Run ``work`` for an execution until :meth:`remove` is called."""
        task = execution.task
        self._running[task.job_id, task.spec.id] = (execution, asyncio.get_running_loop().create_task(work))

    def remove(self, task: TaskRecord) -> None:
        """Remove a task that has ended."""
        del self._running[task.job_id, task.spec.id]

    def tasks(self) -> list[TaskRecord]:
        """Return all running tasks."""
        return [execution.task for execution, _ in self._running.values()]

    def by_node(self, pool_id: str) -> dict[str, list[TaskRecord]]:
        """Return the running tasks of a pool by node id; idle nodes are left out."""
        nodes: dict[str, list[TaskRecord]] = {}
        for execution, _ in self._running.values():
            if execution.task.pool_id == pool_id:
                nodes.setdefault(execution.node.id, []).append(execution.task)
        return nodes

    def of_job(self, job_id: str) -> list[TaskRecord]:
        """Return the running tasks of a job."""
        return [task for task in self.tasks() if task.job_id == job_id]

    def end(self, tasks: Iterable[TaskRecord], reason: EndReason) -> None:
        """End the processes of those tasks that are running."""
        for task in tasks:
            if (running := self._running.get((task.job_id, task.spec.id))) is not None:
                running[0].end(reason)

    async def stop(self, timeout_seconds: float) -> None:
        """End all processes and wait for them up to a time limit."""
        self.end(self.tasks(), "shutdown")
        if self._running:
            _, late = await asyncio.wait([running for _, running in self._running.values()], timeout=timeout_seconds)
            for running in late:
                running.cancel()
