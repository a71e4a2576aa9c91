"""Runs and their tasks: plans, states and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


__all__ = [
    "JobStatus",
    "Kind",
    "Run",
    "RunSummary",
    "ShardActivity",
    "TaskResult",
    "TaskSpec",
    "TaskState",
    "TaskSummary",
    "task_id",
]

Kind = Literal["train", "score", "machines-train", "machines-score"]
"""Kind of a run: training or scoring, of sensors or of the machines of predictive maintenance."""

TaskState = Literal["planned", "running", "succeeded", "failed"]
"""State of a task; ``planned`` until the pool has started it."""


@dataclass(frozen=True, slots=True)
class ShardActivity:
    """State of a shard for planning. Times are ends of windows in UTC; None if there is none yet.

    Attributes
    ----------
    shard
        Number of the shard.
    sensors
        Number of its sensors.
    last_window
        Newest window of all its sensors.
    untrained_sensors
        Number of sensors with windows newer than the training of their model, or with windows but no model.
    trained_sensors
        Number of sensors with a model: their state is ``ready`` or ``stale``.
    scored_until
        End of the last range that was scored successfully.
    rescore_windows
        Number of windows that changed after they were scored.
    active_kinds
        Kinds of run that have a planned or running task of this shard.
    """

    shard: int
    sensors: int
    last_window: datetime | None
    untrained_sensors: int
    trained_sensors: int
    scored_until: datetime | None
    rescore_windows: int
    active_kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """Specification of a task: one shard's part of a run.

    Attributes
    ----------
    run_id, task_id
        The run and the task.
    kind
        Kind of the run.
    shard
        Number of the shard.
    start
        Exclusive start of the range of windows (UTC); None: no lower bound.
    end
        Inclusive end of the range of windows (UTC).
    """

    run_id: str
    task_id: str
    kind: Kind
    shard: int
    start: datetime | None
    end: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """A run, which is one Batch job.

    Attributes
    ----------
    run_id
        Id of the run. It follows from ``kind`` and ``window_end``, so planning the same run twice gives one run.
    kind
        Kind of the run.
    window_end
        End of the newest window (UTC) of the run's range.
    tasks
        One task for each shard.
    """

    run_id: str
    kind: Kind
    window_end: datetime
    tasks: tuple[TaskSpec, ...]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Result of a task, as the pool reports it.

    Attributes
    ----------
    task_id
        The task.
    succeeded
        True if the task succeeded.
    exit_code
        Exit code of its process; None if there is none, for example because the task never started.
    retries
        Number of retries.
    seconds
        Duration of the last try; 0 if the task never started.
    detail
        Error message of a failed task; else empty.
    """

    task_id: str
    succeeded: bool
    exit_code: int | None
    retries: int
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class JobStatus:
    """State of a job, as the pool reports it.

    Attributes
    ----------
    run_id
        The run.
    active, running, succeeded, failed
        Number of tasks in each state.
    completed
        True if the job is completed.
    results
        Results of the tasks that ended.
    """

    run_id: str
    active: int
    running: int
    succeeded: int
    failed: int
    completed: bool
    results: tuple[TaskResult, ...]


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """A stored task.

    Attributes
    ----------
    spec
        Specification of the task.
    state
        Its state.
    exit_code, retries, detail
        As in :class:`TaskResult`.
    seconds
        Duration of the last try; None until the task has ended.
    """

    spec: TaskSpec
    state: TaskState
    exit_code: int | None
    retries: int
    seconds: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A stored run.

    Attributes
    ----------
    run_id, kind, window_end
        As in :class:`Run`.
    created_at
        Time at which it was planned (UTC).
    submitted
        True if the pool has accepted it.
    ended_at
        Time at which it ended (UTC); None until then.
    tasks
        Number of its tasks by state.
    """

    run_id: str
    kind: Kind
    window_end: datetime
    created_at: datetime
    submitted: bool
    ended_at: datetime | None
    tasks: Mapping[TaskState, int]


def task_id(kind: Kind, shard: int) -> str:
    """Return a task's id within its run."""
    return f"{kind}-{shard:06d}"
