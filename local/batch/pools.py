"""Scaling of pools: targets set by request or by formula, and the nodes' states."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from local.batch.autoscale import FormulaError, parse
from local.batch.errors import ServiceError
from local.batch.records import AutoScaleOutcome, NodeRecord
from local.batch.samples import History

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from local.batch.autoscale import Formula
    from local.batch.records import PoolRecord

__all__ = ["PoolScaler", "describe_results", "parse_formula"]

_log = logging.getLogger(__name__)

_SHORTEST_INTERVAL_SECONDS = 300.0
_MAX_NODES = 1000


def parse_formula(text: str | None) -> Formula:
    """Parse a formula; raise a ServiceError (400) with Batch's code for a syntax error."""
    try:
        return parse(text or "")
    except FormulaError as exc:
        raise ServiceError(
            400,
            "AutoScalingFormulaSyntaxError",
            "The specified auto-scaling formula has a syntax error.",
            ("Reason", str(exc)),
        ) from exc


def describe_results(results: Mapping[str, object]) -> str:
    """Format a formula's variables as Batch does: ``$TargetDedicatedNodes=2;pending=7``."""
    return ";".join(f"{name}={_text(value)}" for name, value in results.items())


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class PoolScaler:
    """Scaler of a pool: keeps its past task counts and the time of its last evaluation, and changes its nodes.

    Parameters
    ----------
    record
        The pool.
    clock, monotonic
        Current time in UTC, and monotonic clock in seconds.
    interval_seconds
        Seconds that stand for 5 minutes, the shortest interval between evaluations on Azure. Longer intervals and the
        times in formulas are scaled by the same factor.
    start_seconds
        Seconds that a node takes to start.
    """

    def __init__(
        self,
        record: PoolRecord,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        interval_seconds: float,
        start_seconds: float,
    ) -> None:
        self.record = record
        self._clock = clock
        self._monotonic = monotonic
        self._scale = interval_seconds / _SHORTEST_INTERVAL_SECONDS
        self._start_seconds = start_seconds
        self._counts = {
            name: History(monotonic, self._scale)
            for name in ("$ActiveTasks", "$RunningTasks", "$PendingTasks", "$SucceededTasks", "$FailedTasks")
        }
        self._evaluated: float | None = None

    def record_counts(self, *, active: int, running: int, succeeded: int, failed: int) -> None:
        """Record the current number of the pool's tasks in each state.

        Parameters
        ----------
        active, running
            Waiting tasks that could start, and running ones.
        succeeded, failed
            Tasks that have ended.
        """
        self._counts["$ActiveTasks"].record(active)
        self._counts["$RunningTasks"].record(running)
        self._counts["$PendingTasks"].record(active + running)
        self._counts["$SucceededTasks"].record(succeeded)
        self._counts["$FailedTasks"].record(failed)

    def evaluate(self, formula: Formula) -> dict[str, object]:
        """Evaluate a formula for the pool's current state and return its variables; raise FormulaError on failure."""
        pool = self.record
        values = {
            "$CurrentDedicatedNodes": float(self._current(dedicated=True)),
            "$CurrentLowPriorityNodes": float(self._current(dedicated=False)),
            "$TargetDedicatedNodes": float(pool.target_dedicated),
            "$TargetLowPriorityNodes": float(pool.target_low_priority),
            "$TaskSlotsPerNode": float(pool.spec.task_slots_per_node),
        }
        return {**formula.evaluate(samples=self._counts, values=values, now=self._clock())}

    def forget_evaluation(self) -> None:
        """Make the formula due now."""
        self._evaluated = None

    def autoscale(self, *, waiting: bool) -> bool:
        """Evaluate the formula and set the pool's targets if the formula is due; return whether it was.

        The formula is due after the pool's interval, and immediately when tasks are waiting and the pool has no node.
        """
        pool = self.record
        if not pool.spec.enable_auto_scale:
            return False
        due = self._evaluated is None or self._monotonic() >= self._evaluated + self._interval_seconds()
        if not due and (pool.nodes or not waiting):
            return False
        self._evaluated = self._monotonic()
        try:
            results = self.evaluate(parse(pool.spec.auto_scale_formula or ""))
        except FormulaError as exc:
            _log.warning("pool %s: its autoscale formula failed: %s", pool.spec.id, exc)
            pool.auto_scale = AutoScaleOutcome(at=self._clock(), results="", error=str(exc))
            return True
        pool.auto_scale = AutoScaleOutcome(at=self._clock(), results=describe_results(results))
        targets = (results.get("$TargetDedicatedNodes"), results.get("$TargetLowPriorityNodes"))
        dedicated, low_priority = (int(target) if isinstance(target, float) else None for target in targets)
        self.set_targets(dedicated, low_priority, str(results.get("$NodeDeallocationOption", "requeue")))
        return True

    def set_targets(self, dedicated: int | None, low_priority: int | None, deallocation: str) -> None:
        """Set the target numbers of nodes.

        Parameters
        ----------
        dedicated, low_priority
            Targets, cut to 1,000; None keeps the current one.
        deallocation
            Treatment of tasks on nodes that leave: requeue, terminate, taskcompletion or retaineddata.
        """
        pool = self.record
        before = (pool.target_dedicated, pool.target_low_priority)
        pool.target_dedicated = before[0] if dedicated is None else min(dedicated, _MAX_NODES)
        pool.target_low_priority = before[1] if low_priority is None else min(low_priority, _MAX_NODES)
        match deallocation:
            case "requeue" | "terminate" | "taskcompletion" | "retaineddata":
                pool.deallocation = deallocation
        if before != (pool.target_dedicated, pool.target_low_priority):
            pool.resized = self._clock()

    def resize(self, running: Mapping[str, int]) -> list[NodeRecord]:
        """Add nodes up to the targets, mark surplus nodes as leaving, and return the newly marked ones.

        Parameters
        ----------
        running
            Number of tasks on each node, by id; idle nodes leave first.
        """
        leaving: list[NodeRecord] = []
        for dedicated, target in ((True, self.record.target_dedicated), (False, self.record.target_low_priority)):
            staying = [
                node for node in self.record.nodes if node.dedicated is dedicated and node.state != "leavingpool"
            ]
            for _ in range(target - len(staying)):
                self._add_node(dedicated=dedicated)
            staying.sort(key=lambda node: (running.get(node.id, 0), node.state == "idle"))
            for node in staying[: max(0, len(staying) - target)]:
                self._move(node, "leavingpool")
                leaving.append(node)
        return leaving

    def settle(self, running: Mapping[str, int]) -> list[NodeRecord]:
        """Update the nodes' states and return the nodes that have left the pool."""
        now = self._clock()
        gone = []
        for node in list(self.record.nodes):
            busy = running.get(node.id, 0) > 0
            if node.state == "leavingpool":
                if not busy:
                    self.record.nodes.remove(node)
                    gone.append(node)
            elif node.state != "starting":
                self._move(node, "running" if busy else "idle")
            elif (now - node.state_since).total_seconds() >= self._start_seconds:
                node.booted = now
                self._move(node, "idle")
        return gone

    def restart_nodes(self) -> None:
        """Restart all nodes."""
        for node in self.record.nodes:
            self._move(node, "starting")

    def next_moment(self) -> float | None:
        """Return the seconds until the next node is ready or the formula is due; None if neither is ahead."""
        moments = [
            self._start_seconds - (self._clock() - node.state_since).total_seconds()
            for node in self.record.nodes
            if node.state == "starting"
        ]
        if self.record.spec.enable_auto_scale and self._evaluated is not None:
            moments.append(self._evaluated + self._interval_seconds() - self._monotonic())
        return max(0.0, min(moments)) if moments else None

    def _interval_seconds(self) -> float:
        interval: timedelta = self.record.spec.auto_scale_evaluation_interval
        return interval.total_seconds() * self._scale

    def _current(self, *, dedicated: bool) -> int:
        return sum(node.dedicated is dedicated for node in self.record.nodes)

    def _add_node(self, *, dedicated: bool) -> None:
        now = self._clock()
        self.record.nodes_made += 1
        self.record.nodes.append(
            NodeRecord(
                id=f"tvmps_{self.record.nodes_made:06d}_{'d' if dedicated else 'p'}",
                dedicated=dedicated,
                state="starting",
                state_since=now,
                allocated=now,
                booted=now,
            )
        )

    def _move(self, node: NodeRecord, state: str) -> None:
        if node.state == state:
            return
        match state:
            case "starting" | "idle" | "running" | "leavingpool":
                node.state = state
        node.state_since = self._clock()
