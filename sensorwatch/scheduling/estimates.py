"""Estimated time and cost of a run before it is submitted.

A task takes two seconds to start (interpreter, imports, first connection), plus a time proportional to its
sensor-windows. The time per sensor-window is the median over the succeeded tasks of the same kind. If there are none
yet, a value measured on one core is used.

Sensor-windows are counted as if every sensor of a shard had every window. A training task reads the training range,
or ``TRAINING_WINDOWS`` windows of each sensor if these are more. A scoring task reads the windows since the shard was
last scored, or the training range if it never was. Missing windows make the past tasks and the planned run cheaper by
about the same factor.

Not included: the search for older windows of a few slow sensors in a shard of fast ones, the time in which nodes start,
and the time in which they idle until the pool is resized.
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
"""Seconds per sensor-window with the detector `auto`.

Training: six sensors a second with 17,280 windows each. Scoring: 2,000 sensors a second with 12 windows each.
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Size of the pool, and amount of data that tasks read.

    Attributes
    ----------
    window_seconds
        Length of a window, in seconds.
    training_seconds
        Length of the training range, in seconds.
    max_nodes
        Largest number of nodes of the pool.
    slots_per_node
        Number of tasks that a node runs at once.
    price_per_hour
        Price of a node per hour; None if not known.
    currency
        Currency of the price.
    training_windows
        Number of windows that a sensor is trained on at least, if its history has them.
    """

    window_seconds: int
    training_seconds: int
    max_nodes: int
    slots_per_node: int
    price_per_hour: float | None = None
    currency: str = "EUR"
    training_windows: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated time and cost of a run.

    Attributes
    ----------
    tasks
        Number of tasks.
    sensors
        Number of sensors in their shards.
    sensor_windows
        Largest number of windows that all tasks read together.
    task_seconds
        Sum of the tasks' times, in seconds.
    nodes
        Number of nodes that work at once.
    wall_seconds
        Time from the start of the first task to the end of the last one, in seconds.
    node_minutes
        Time that is paid for: ``nodes * wall_seconds / 60``.
    cost
        Price of the run; None without a price per hour.
    currency
        Currency of the price.
    history
        Number of past tasks that the estimate is based on; 0 if it is based on the default.
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
    """Return the largest number of windows that a task reads.

    Parameters
    ----------
    task
        The task.
    sensors
        Number of sensors in its shard.
    fleet
        Length of a window and of the training range, and number of windows that training needs.
    """
    seconds: float = fleet.training_seconds
    if task.kind == "score" and task.start is not None:
        seconds = (task.end - task.start).total_seconds()
    least = fleet.training_windows if task.kind == "train" else 1
    return sensors * max(1, least, ceil(seconds / fleet.window_seconds))


def estimate(
    kind: Kind, tasks: Sequence[TaskSpec], shards: Iterable[ShardActivity], history: Iterable[TaskSummary], fleet: Fleet
) -> Estimate:
    """Return the estimated time and cost of a run.

    Parameters
    ----------
    kind
        Kind of the run.
    tasks
        Tasks of the run.
    shards
        All shards, for their numbers of sensors.
    history
        Succeeded tasks of the same kind.
    fleet
        Size of the pool, and amount of data that tasks read.
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
