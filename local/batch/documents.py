"""REST documents of records, as Azure Batch returns them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.batch.records import Failure, JobRecord, NodeRecord, PoolRecord, TaskRecord
    from local.batch.runner import Account

__all__ = ["etag", "job_document", "node_document", "pool_document", "task_counts", "task_document", "timestamp"]

_UNLIMITED = "P10675199DT2H48M5.4775807S"


def timestamp(moment: datetime) -> str:
    """Format a time as Batch does: UTC with Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def etag(record: PoolRecord | JobRecord | TaskRecord) -> str:
    """Return the entity tag of a record; it changes when the record does."""
    return f"0x{int(record.modified.timestamp() * 1e6):X}"


def pool_document(pool: PoolRecord, account: Account) -> dict[str, Any]:
    """Return the document of a pool."""
    spec = pool.spec
    dedicated = [node for node in pool.nodes if node.dedicated]
    settled = len(dedicated) == pool.target_dedicated and len(pool.nodes) - len(dedicated) == pool.target_low_priority
    document = pool.document | {
        "url": f"{account.url}/pools/{spec.id}",
        "eTag": etag(pool),
        "lastModified": timestamp(pool.modified),
        "creationTime": timestamp(pool.created),
        "state": pool.state,
        "stateTransitionTime": timestamp(pool.state_since),
        "allocationState": "steady" if settled else "resizing",
        "allocationStateTransitionTime": timestamp(pool.resized),
        "currentDedicatedNodes": len(dedicated),
        "currentLowPriorityNodes": len(pool.nodes) - len(dedicated),
        "targetDedicatedNodes": pool.target_dedicated,
        "targetLowPriorityNodes": pool.target_low_priority,
        "enableAutoScale": spec.enable_auto_scale,
        "taskSlotsPerNode": spec.task_slots_per_node,
        "taskSchedulingPolicy": {"nodeFillType": spec.task_scheduling_policy.node_fill_type},
    }
    if pool.auto_scale is not None and spec.enable_auto_scale:
        run: dict[str, Any] = {"timestamp": timestamp(pool.auto_scale.at), "results": pool.auto_scale.results}
        if pool.auto_scale.error is not None:
            run["error"] = {"code": "AutoScalingFormulaEvaluationError", "message": pool.auto_scale.error}
        document["autoScaleRun"] = run
    return document


def node_document(
    pool: PoolRecord, node: NodeRecord, running: Sequence[TaskRecord], account: Account
) -> dict[str, Any]:
    """Return the document of a node.

    Parameters
    ----------
    pool, node
        The node and its pool.
    running
        Tasks that run on the node.
    account
        Account of the service.
    """
    return {
        "id": node.id,
        "url": f"{account.url}/pools/{pool.spec.id}/nodes/{node.id}",
        "state": node.state,
        "schedulingState": "enabled",
        "stateTransitionTime": timestamp(node.state_since),
        "lastBootTime": timestamp(node.booted),
        "allocationTime": timestamp(node.allocated),
        "ipAddress": "127.0.0.1",
        "affinityId": node.id,
        "vmSize": pool.spec.vm_size,
        "isDedicated": node.dedicated,
        "totalTasksRun": node.tasks_run,
        "totalTasksSucceeded": node.tasks_succeeded,
        "runningTasksCount": len(running),
        "runningTaskSlotsCount": sum(task.spec.required_slots for task in running),
    }


def job_document(job: JobRecord, account: Account) -> dict[str, Any]:
    """Return the document of a job."""
    spec = job.spec
    execution: dict[str, Any] = {"startTime": timestamp(job.created), "poolId": spec.pool_info.pool_id}
    if job.ended is not None:
        execution["endTime"] = timestamp(job.ended)
    if job.terminate_reason is not None:
        execution["terminateReason"] = job.terminate_reason
    defaults = {
        "priority": spec.priority,
        "maxParallelTasks": spec.max_parallel_tasks,
        "usesTaskDependencies": spec.uses_task_dependencies,
        "onAllTasksComplete": spec.on_all_tasks_complete,
        "onTaskFailure": spec.on_task_failure,
        "constraints": {"maxWallClockTime": _UNLIMITED, "maxTaskRetryCount": 0} | job.document.get("constraints", {}),
    }
    return job.document | defaults | {"executionInfo": execution} | _common(job, f"{account.url}/jobs/{spec.id}")


def task_document(task: TaskRecord, job: JobRecord, account: Account) -> dict[str, Any]:
    """Return the document of a task.

    Parameters
    ----------
    task, job
        The task and its job.
    account
        Account of the service.
    """
    spec = task.spec
    url = f"{account.url}/jobs/{task.job_id}/tasks/{spec.id}"
    retries = spec.constraints.max_task_retry_count
    constraints = {
        "maxWallClockTime": _UNLIMITED,
        "retentionTime": "P7D",
        "maxTaskRetryCount": job.spec.constraints.max_task_retry_count if retries is None else retries,
    }
    document = task.document | {
        "constraints": constraints | task.document.get("constraints", {}),
        "requiredSlots": spec.required_slots,
        "executionInfo": _execution_info(task),
    }
    if task.node_id is not None and task.state != "active":
        document["nodeInfo"] = {
            "affinityId": task.node_id,
            "nodeUrl": f"{account.url}/pools/{task.pool_id}/nodes/{task.node_id}",
            "poolId": task.pool_id,
            "nodeId": task.node_id,
            "taskRootDirectory": f"workitems/{task.job_id}/{spec.id}",
            "taskRootDirectoryUrl": f"{url}/files",
        }
    return document | _common(task, url)


def task_counts(tasks: Sequence[TaskRecord]) -> dict[str, Any]:
    """Return the number of tasks and of their slots in each state."""
    names = ("active", "running", "completed", "succeeded", "failed")
    counts, slots = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for task in tasks:
        states = [str(task.state)]
        if task.state == "completed":
            states.append("succeeded" if task.failure is None else "failed")
        for state in states:
            counts[state] += 1
            slots[state] += task.spec.required_slots
    return {"taskCounts": counts, "taskSlotCounts": slots}


def _common(record: JobRecord | TaskRecord, url: str) -> dict[str, Any]:
    document = {
        "url": url,
        "eTag": etag(record),
        "creationTime": timestamp(record.created),
        "lastModified": timestamp(record.modified),
        "state": record.state,
        "stateTransitionTime": timestamp(record.state_since),
    }
    if record.previous_state is not None and record.previous_since is not None:
        document["previousState"] = record.previous_state
        document["previousStateTransitionTime"] = timestamp(record.previous_since)
    return document


def _execution_info(task: TaskRecord) -> dict[str, Any]:
    info: dict[str, Any] = {"retryCount": task.retries, "requeueCount": task.requeues}
    moments = {
        "startTime": task.started,
        "endTime": task.ended,
        "lastRetryTime": task.last_retry,
        "lastRequeueTime": task.last_requeue,
    }
    info |= {name: timestamp(moment) for name, moment in moments.items() if moment is not None}
    if task.exit_code is not None:
        info["exitCode"] = task.exit_code
    if task.state == "completed":
        info["result"] = "success" if task.failure is None else "failure"
    if task.failure is not None:
        info["failureInfo"] = _failure_info(task.failure)
    return info


def _failure_info(failure: Failure) -> Mapping[str, Any]:
    return {
        "category": "usererror",
        "code": failure.code,
        "message": failure.message,
        "details": [{"name": name, "value": value} for name, value in failure.details],
    }
