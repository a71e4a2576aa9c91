"""Planning: what is due becomes runs of tasks."""

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
"""What a run does: with sensors, or with the machines of predictive maintenance."""

TaskState = Literal["planned", "running", "succeeded", "failed"]
"""What is known of one task: ``planned`` until the pool has started it."""


@dataclass(frozen=True, slots=True)
class ShardActivity:
    """What the planner needs to know of a shard; times are window ends in UTC, ``None`` where there is none yet.

    Attributes
    ----------
    last_window
        Newest window of any of its sensors.
    untrained_sensors
        Sensors with windows newer than those their model was trained on (or without a model).
    trained_sensors
        Sensors that have a model: their state is ``ready`` or ``stale``.
    scored_until
        End of the last range whose scoring succeeded.
    rescore_windows
        Windows that changed after they had been scored.
    active_kinds
        Kinds of run with a task of this shard that is planned or running.
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
    """One shard's part of a run: the windows with ``start < end_of_window <= end`` (``start`` None: no lower bound)."""

    run_id: str
    task_id: str
    kind: Kind
    shard: int
    start: datetime | None
    end: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One Batch job: its id follows from kind and window, so planning the same twice gives the same run."""

    run_id: str
    kind: Kind
    window_end: datetime
    tasks: tuple[TaskSpec, ...]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What the pool says of a task that ended."""

    task_id: str
    succeeded: bool
    exit_code: int | None
    retries: int
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What the pool says of a job; ``results`` holds the tasks that have ended."""

    run_id: str
    active: int
    running: int
    succeeded: int
    failed: int
    completed: bool
    results: tuple[TaskResult, ...]


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """A stored task with its state; ``seconds`` and ``detail`` are known once it has ended."""

    spec: TaskSpec
    state: TaskState
    exit_code: int | None
    retries: int
    seconds: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A stored run: counts of its tasks by state, when it was created and ended (UTC)."""

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
