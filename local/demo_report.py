"""Report of a demo run: a table for people, the same figures as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.demo_live import LiveFigures
    from sensorwatch.ingestion.records import IngestCounts
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.simulation.matching import MatchReport
    from sensorwatch.tasks.records import RunSummary, TaskSummary

__all__ = ["BEHIND_SECONDS", "DemoReport", "TaskFigures"]


BEHIND_SECONDS = 480
"""Time after its end in which an anomaly still affects detectors, which look back 96 windows of five seconds."""


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """A Batch task: its state and its run time in seconds."""

    run_id: str
    task_id: str
    state: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class DemoReport:
    """Figures of a demo run: counts of readings and windows, detected anomalies, wall time of each stage in seconds."""

    sent: int
    counts: IngestCounts
    windows: int
    sensors: int
    models: int
    tasks: Sequence[TaskFigures]
    matched: MatchReport
    alerts_opened: int
    alerts_open: int
    stages: Mapping[str, float]
    live: LiveFigures | None = None

    @staticmethod
    def task_figures(run: RunSummary, tasks: Sequence[TaskSummary]) -> list[TaskFigures]:
        """Return the figures of a run's tasks."""
        return [TaskFigures(run.run_id, task.spec.task_id, task.state, task.seconds) for task in tasks]

    @staticmethod
    def ready(sensors: Sequence[SensorStatus]) -> int:
        """Return the number of sensors that have a model."""
        return sum(sensor.state == "ready" for sensor in sensors)

    def problems(self) -> list[str]:
        """Return the problems of the run, as sentences; empty after a good run."""
        counts = self.counts
        outcomes = counts.accepted + counts.late + counts.duplicate + counts.invalid
        checks = {
            f"{self.sent} readings sent, but accepted + late + duplicate + invalid = {outcomes}": self.sent == outcomes,
            f"{counts.late + counts.duplicate + counts.invalid} of {self.sent} simulated readings were not accepted": (
                counts.accepted == self.sent
            ),
            f"only {self.models} of {self.sensors} sensors have a model": self.models == self.sensors > 0,
            "a task failed": all(task.state == "succeeded" for task in self.tasks),
            "none of the injected anomalies was detected": self.matched.total.detected > 0,
            "no alert was opened": self.alerts_opened > 0,
        }
        return [problem for problem, well in checks.items() if not well] + self._live_problems()

    def _live_problems(self) -> list[str]:
        live = self.live
        if live is None:
            return ["no reading was scored in real time"]
        checks = {
            f"{live.sent} readings were sent in real time, but {live.served} received and {live.scored} scored": (
                live.sent == live.served == live.scored
            ),
            f"the anomalies are from {len(live.versions)} model versions; expected 2": (len(live.versions) == 2),
        }
        return [problem for problem, well in checks.items() if not well]

    def as_json(self) -> dict[str, object]:
        """Return the figures as JSON values."""
        matched = self.matched
        return {
            "readings": {"sent": self.sent, **self.counts._asdict()},
            "windows": self.windows,
            "sensors": self.sensors,
            "models": self.models,
            "tasks": [asdict(task) for task in self.tasks],
            "anomalies": {
                "injected": matched.total.injected,
                "detected": matched.total.detected,
                "recall": matched.total.share,
                "recall_by_kind": {kind: recall._asdict() for kind, recall in matched.by_kind.items()},
                "windows_flagged": matched.windows,
                "windows_flagged_rightly": matched.true_windows,
                "windows_flagged_behind": matched.windows_behind,
                "precision": matched.precision,
            },
            "alerts": {"opened": self.alerts_opened, "still_open": self.alerts_open},
            "real_time": None if self.live is None else self._live_json(self.live),
            "seconds": dict(self.stages),
            "problems": self.problems(),
        }

    def _live_json(self, live: LiveFigures) -> dict[str, object]:
        return {
            "sent": live.sent,
            "scored": live.scored,
            "latency_ms": {"p50": live.p50_ms, "p99": live.p99_ms, "longest": max(live.latencies_ms)},
            "versions": list(live.versions),
            "swap_seconds": live.swap_seconds,
        }

    def as_table(self) -> Table:
        """Return the figures as a table."""
        counts, matched = self.counts, self.matched
        table = Table(title="Results", title_justify="left", show_header=False)
        table.add_column("what", style="bold")
        table.add_column("figures")
        table.add_row(
            "readings",
            f"{self.sent} sent = {counts.accepted} accepted + {counts.late} late + {counts.duplicate} duplicate "
            f"+ {counts.invalid} invalid",
        )
        table.add_row("windows", f"{self.windows} of 5 s")
        table.add_row("sensors", f"{self.sensors}, {self.models} of them with a model")
        for task in self.tasks:
            took = "" if task.seconds is None else f" in {task.seconds:.1f} s"
            table.add_row("task", Text(f"{task.task_id} of {task.run_id}: {task.state}{took}"))
        table.add_row(
            "injected anomalies",
            f"{matched.total.detected} of {matched.total.injected} detected: recall {_share(matched.total.share)}",
        )
        for kind, recall in matched.by_kind.items():
            table.add_row(f"  {kind}", f"{recall.detected} of {recall.injected}")
        table.add_row(
            "anomalous windows",
            f"{matched.windows}: {matched.true_windows} during an injected anomaly, "
            f"{matched.windows_behind} in the {BEHIND_SECONDS // 60} minutes after one, "
            f"{matched.windows - matched.true_windows - matched.windows_behind} elsewhere; "
            f"precision {_share(matched.precision)}",
        )
        table.add_row("alerts", f"{self.alerts_opened} opened, {self.alerts_open} of them still open")
        if live := self.live:
            table.add_row("real time", f"{live.scored} of {live.sent} readings scored on arrival")
            table.add_row(
                "  reading to anomaly",
                f"p50 {live.p50_ms:.0f} ms, p99 {live.p99_ms:.0f} ms, from sending to the row in the database",
            )
            if live.swap_seconds is not None:
                table.add_row("  new models", f"in use {live.swap_seconds:.1f} s after training, without a restart")
        for stage, seconds in self.stages.items():
            table.add_row("seconds", f"{seconds:6.1f}  {stage}")
        return table


def _share(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}"
