"""Placement of waiting tasks on nodes: dependencies, free slots, choice of the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.batch.records import NodeRecord, PoolRecord, TaskRecord
    from local.batch.state import State

__all__ = ["choose_node", "dependencies_met", "free_slots"]


def dependencies_met(state: State, task: TaskRecord) -> bool:
    """Return whether all tasks that a task depends on exist and have ended in a way that satisfies it."""
    wanted = task.spec.depends_on
    ids = [*wanted.task_ids, *(str(each) for span in wanted.task_id_ranges for each in range(span.start, span.end + 1))]
    needed = (state.find_task(task.job_id, task_id) for task_id in ids)
    return all(other is not None and other.state == "completed" and other.satisfies for other in needed)


def free_slots(pool: PoolRecord, running: Mapping[str, Sequence[TaskRecord]]) -> dict[str, int]:
    """Return the number of free slots of each node that takes tasks, by node id; ``running`` has the tasks on each."""
    return {
        node.id: pool.spec.task_slots_per_node - sum(task.spec.required_slots for task in running.get(node.id, []))
        for node in pool.nodes
        if node.state in {"idle", "running"}
    }


def choose_node(pool: PoolRecord, slots: Mapping[str, int], needed: int) -> NodeRecord | None:
    """Choose a node for a task by the pool's fill type.

    Parameters
    ----------
    pool
        The pool; ``pack`` fills the fullest node first, ``spread`` the emptiest.
    slots
        Free slots by node id.
    needed
        Slots that the task needs.

    Returns
    -------
    NodeRecord or None
        None where no node has enough free slots.
    """
    fitting = [node for node in pool.nodes if slots.get(node.id, 0) >= needed]
    if not fitting:
        return None
    pack = pool.spec.task_scheduling_policy.node_fill_type == "pack"
    return (min if pack else max)(fitting, key=lambda node: slots[node.id])
