"""Records of pools, nodes, jobs and tasks, and the properties of requests.

A ``…Spec`` has the properties of a request that the service evaluates. The complete document of the request is stored
as well and returned unchanged. Times are aware, in UTC.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

__all__ = [
    "EnvironmentSetting",
    "ExitConditions",
    "ExitOptions",
    "Failure",
    "JobRecord",
    "JobSpec",
    "NodeRecord",
    "OutputFile",
    "PoolRecord",
    "PoolSpec",
    "TaskRecord",
    "TaskSpec",
]

JobState = Literal["active", "disabling", "disabled", "terminating", "completed", "deleting"]
TaskState = Literal["active", "running", "completed"]
Deallocation = Literal["requeue", "terminate", "taskcompletion", "retaineddata"]


class _Request(msgspec.Struct, rename="camel", kw_only=True):
    """Base of the properties of requests: names in camel case, unknown properties ignored."""


class EnvironmentSetting(_Request):
    """One environment variable."""

    name: str
    value: str | None = None


class SchedulingPolicy(_Request):
    """Distribution of tasks over the nodes."""

    node_fill_type: Literal["spread", "pack"] = "spread"


class PoolSpec(_Request):
    """Evaluated properties of a pool."""

    id: str
    vm_size: str
    target_dedicated_nodes: int = 0
    target_low_priority_nodes: int = 0
    enable_auto_scale: bool = False
    auto_scale_formula: str | None = None
    auto_scale_evaluation_interval: timedelta = timedelta(minutes=15)
    task_slots_per_node: int = 1
    task_scheduling_policy: SchedulingPolicy = msgspec.field(default_factory=SchedulingPolicy)


class NodeRecord(msgspec.Struct, kw_only=True):
    """A node. It exists as this record only; its tasks are subprocesses of the service."""

    id: str
    dedicated: bool
    state: Literal["starting", "idle", "running", "leavingpool"]
    state_since: datetime
    allocated: datetime
    booted: datetime
    tasks_run: int = 0
    tasks_succeeded: int = 0


class AutoScaleOutcome(msgspec.Struct, kw_only=True):
    """The last evaluation of a pool's formula: its variables, or its error."""

    at: datetime
    results: str
    error: str | None = None


class PoolRecord(msgspec.Struct, kw_only=True):
    """A pool with its nodes."""

    spec: PoolSpec
    document: dict[str, Any]
    created: datetime
    modified: datetime
    state: Literal["active", "deleting"] = "active"
    state_since: datetime
    target_dedicated: int
    target_low_priority: int
    deallocation: Deallocation = "requeue"
    resized: datetime
    auto_scale: AutoScaleOutcome | None = None
    nodes: list[NodeRecord] = msgspec.field(default_factory=list)
    nodes_made: int = 0


class JobPool(_Request):
    """The pool of a job; pools that are created for one job are not supported."""

    pool_id: str


class JobConstraints(_Request):
    """Limits of a job; ``max_task_retry_count`` applies to tasks without a limit of their own."""

    max_wall_clock_time: timedelta | None = None
    max_task_retry_count: int = 0


class JobSpec(_Request):
    """Evaluated properties of a job."""

    id: str
    pool_info: JobPool
    priority: int = 0
    max_parallel_tasks: int = -1
    constraints: JobConstraints = msgspec.field(default_factory=JobConstraints)
    common_environment_settings: list[EnvironmentSetting] = msgspec.field(default_factory=list)
    on_all_tasks_complete: Literal["noaction", "terminatejob"] = "noaction"
    on_task_failure: Literal["noaction", "performexitoptionsjobaction"] = "noaction"
    uses_task_dependencies: bool = False


class JobRecord(msgspec.Struct, kw_only=True):
    """A job; ``sequence`` orders jobs by creation."""

    sequence: int
    spec: JobSpec
    document: dict[str, Any]
    created: datetime
    modified: datetime
    state: JobState = "active"
    state_since: datetime
    previous_state: JobState | None = None
    previous_since: datetime | None = None
    ended: datetime | None = None
    terminate_reason: str | None = None


class TaskConstraints(_Request):
    """Limits of a task; a retry count of -1 is unlimited, None leaves it to the job."""

    max_wall_clock_time: timedelta | None = None
    retention_time: timedelta = timedelta(days=7)
    max_task_retry_count: int | None = None


class ExitOptions(_Request):
    """Effects of a task's end on its job and on the tasks that depend on it; None: Batch's default."""

    job_action: Literal["none", "disable", "terminate"] | None = None
    dependency_action: Literal["block", "satisfy"] | None = None


class ExitCode(_Request):
    """Options for one exit code."""

    code: int
    exit_options: ExitOptions


class ExitCodeRange(_Request):
    """Options for exit codes from ``start`` to ``end``, both inclusive."""

    start: int
    end: int
    exit_options: ExitOptions


class ExitConditions(_Request):
    """Options for each way in which a task can end."""

    exit_codes: list[ExitCode] = msgspec.field(default_factory=list)
    exit_code_ranges: list[ExitCodeRange] = msgspec.field(default_factory=list)
    pre_processing_error: ExitOptions | None = None
    file_upload_error: ExitOptions | None = None
    default: ExitOptions = msgspec.field(default_factory=ExitOptions)


class IdRange(_Request):
    """Tasks whose ids are the integers from ``start`` to ``end``, both inclusive."""

    start: int
    end: int


class Dependencies(_Request):
    """Tasks that a task depends on."""

    task_ids: list[str] = msgspec.field(default_factory=list)
    task_id_ranges: list[IdRange] = msgspec.field(default_factory=list)


class UploadHeader(_Request):
    """One header of an uploaded blob."""

    name: str
    value: str | None = None


class OutputContainer(_Request):
    """Blob container of output files; ``path`` is a blob's name, or a folder for a pattern."""

    container_url: str
    path: str | None = None
    identity_reference: dict[str, Any] | None = None
    upload_headers: list[UploadHeader] = msgspec.field(default_factory=list)


class OutputDestination(_Request):
    """Destination of output files."""

    container: OutputContainer


class UploadOptions(_Request):
    """Condition for the upload of output files."""

    upload_condition: Literal["tasksuccess", "taskfailure", "taskcompletion"] = "taskcompletion"


class OutputFile(_Request):
    """Files to upload when the task's process has ended; the pattern is relative to the working directory."""

    file_pattern: str
    destination: OutputDestination
    upload_options: UploadOptions = msgspec.field(default_factory=UploadOptions)


class TaskSpec(_Request):
    """Evaluated properties of a task."""

    id: str
    command_line: str
    container_settings: dict[str, Any] | None = None
    output_files: list[OutputFile] = msgspec.field(default_factory=list)
    environment_settings: list[EnvironmentSetting] = msgspec.field(default_factory=list)
    constraints: TaskConstraints = msgspec.field(default_factory=TaskConstraints)
    required_slots: int = 1
    exit_conditions: ExitConditions = msgspec.field(default_factory=ExitConditions)
    depends_on: Dependencies = msgspec.field(default_factory=Dependencies)


class Failure(msgspec.Struct, frozen=True):
    """The cause of a task's failure, with Batch's code; ``details`` are (name, value)."""

    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()


class TaskRecord(msgspec.Struct, kw_only=True):
    """A task and its progress.

    ``pid`` and ``pid_created`` (seconds since 1970, from the operating system) identify the process of a running task,
    so that the next service can kill it if this one is killed. ``files_kept`` is true while its directory exists.
    """

    sequence: int
    job_id: str
    spec: TaskSpec
    document: dict[str, Any]
    created: datetime
    modified: datetime
    state: TaskState = "active"
    state_since: datetime
    previous_state: TaskState | None = None
    previous_since: datetime | None = None
    node_id: str | None = None
    pool_id: str | None = None
    pid: int | None = None
    pid_created: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    failure: Failure | None = None
    retries: int = 0
    last_retry: datetime | None = None
    requeues: int = 0
    last_requeue: datetime | None = None
    satisfies: bool = False
    files_kept: bool = False
