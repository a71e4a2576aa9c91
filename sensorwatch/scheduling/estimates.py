"""What a run will take, before it is submitted: task seconds, node minutes, and what they cost.

A task's time is taken as a start of two seconds (the interpreter, imports, the first connection) and so many seconds
per sensor and window. The latter is the median over the tasks of that kind that have succeeded; where there are none
yet, a figure measured on one core stands in for it.

Sensor-windows are counted as if every sensor of a shard had every window: a training task reads the training range, a
scoring task the windows since its shard was scored last. A shard that was never scored counts with the training range.
Fewer windows than that make both the history and the run cheaper alike.

Not counted: the minutes in which nodes start, and those in which they idle until the pool is next evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sensorwatch.tasks.records import Kind, ShardActivity, TaskSpec, TaskSummary

__all__ = ["Estimate", "Fleet", "estimate", "sensor_windows"]

_START_SECONDS = 2.0
_DEFAULT_SECONDS: Mapping[Kind, float] = {"train": 1e-5, "score": 4e-5}
"""Seconds per sensor-window, of `auto`: six sensors a second with 17,280 windows each, and 2,000 with 12 each."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What tasks run on, and what windows they read.

    Attributes
    ----------
    window_seconds, training_seconds
        Length of a window, and of the range that a training task reads.
    max_nodes, slots_per_node
        Nodes that the pool grows to, and tasks that each runs at once.
    price_per_hour, currency
        What a node costs an hour; None where nobody said.
    """

    window_seconds: int
    training_seconds: int
    max_nodes: int
    slots_per_node: int
    price_per_hour: float | None = None
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take.

    Attributes
    ----------
    tasks, sensors
        Its tasks, and the sensors in their shards.
    sensor_windows
        Windows that its tasks read at most, all sensors together.
    task_seconds
        Their time, all tasks together.
    nodes
        Nodes that work on them at once.
    wall_seconds
        From the first task's start to the last one's end.
    node_minutes
        What is paid for: ``nodes * wall_seconds / 60``.
    cost, currency
        Its price; None without a price per hour.
    history
        Tasks that the figures come from; 0 where they come from the default.
    """

    tasks: int
    sensors: int
    sensor_windows: int
    task_seconds: float
    nodes: int
    wall_seconds: float
    node_minutes: float
    cost: float | None
    currency: str
    history: int


def sensor_windows(task: TaskSpec, sensors: int, fleet: Fleet) -> int:
    """Return the windows that a task reads at most, all its ``sensors`` together."""
    seconds: float = fleet.training_seconds
    if task.kind == "score" and task.start is not None:
        seconds = (task.end - task.start).total_seconds()
    return sensors * max(1, ceil(seconds / fleet.window_seconds))


def estimate(
    kind: Kind, tasks: Sequence[TaskSpec], shards: Iterable[ShardActivity], history: Iterable[TaskSummary], fleet: Fleet
) -> Estimate:
    """Return what tasks of one kind will take.

    Parameters
    ----------
    kind
        Theirs.
    tasks
        The run's.
    shards
        Every shard, for its number of sensors.
    history
        Tasks of that kind that have succeeded.
    fleet
        What they run on.
    """
    sensors = {shard.shard: shard.sensors for shard in shards}
    rates = [
        max(past.seconds - _START_SECONDS, 0.0) / sensor_windows(past.spec, sensors[past.spec.shard], fleet)
        for past in history
        if past.seconds is not None and sensors.get(past.spec.shard)
    ]
    rate = median(rates) if rates else _DEFAULT_SECONDS[kind]
    counts = [sensor_windows(task, sensors.get(task.shard, 0), fleet) for task in tasks]
    seconds = [_START_SECONDS + rate * count for count in counts]
    nodes = min(fleet.max_nodes, ceil(len(tasks) / fleet.slots_per_node))
    wall = max(sum(seconds) / (nodes * fleet.slots_per_node), max(seconds)) if seconds else 0.0
    node_minutes = nodes * wall / 60
    return Estimate(
        tasks=len(tasks),
        sensors=sum(sensors.get(task.shard, 0) for task in tasks),
        sensor_windows=sum(counts),
        task_seconds=sum(seconds),
        nodes=nodes,
        wall_seconds=wall,
        node_minutes=node_minutes,
        cost=None if fleet.price_per_hour is None else node_minutes / 60 * fleet.price_per_hour,
        currency=fleet.currency,
        history=len(rates),
    )
