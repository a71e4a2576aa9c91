"""What the demo's telemetry says: that its metrics add up to the report, and the way of a reading that alerted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from sensorwatch.cli.trace import row
from sensorwatch.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.demo_report import DemoReport
    from sensorwatch.telemetry.recorded import Recording, Step

__all__ = ["differences", "measured", "way_of_a_reading"]


def measured(recording: Recording) -> dict[str, float]:
    """Return the totals of what was counted, by the metric's name; of tasks their number, by kind."""
    counters = {metric.name: recording.total(metric.name) for metric in metrics.METRICS if metric.kind == "counter"}
    tasks = {
        f"{metrics.TASK_DURATION.name} of {kind}": recording.total(metrics.TASK_DURATION.name, kind=kind)
        for kind in ("train", "score")
    }
    return counters | tasks


def differences(report: DemoReport, totals: Mapping[str, float]) -> list[str]:
    """Return where the metrics do not add up to the report, as sentences; empty where they do."""
    counts = report.counts
    expected: dict[str, float] = {
        metrics.RECEIVED.name: counts.received,
        metrics.ACCEPTED.name: counts.accepted,
        metrics.LATE.name: counts.late,
        metrics.DUPLICATE.name: counts.duplicate,
        metrics.INVALID.name: counts.invalid,
        metrics.DEAD_LETTERS.name: counts.late + counts.invalid,
        metrics.ANOMALIES.name: report.matched.windows + totals[metrics.WITHDRAWN.name],
        metrics.ALERTS_OPENED.name: report.alerts_opened,
        metrics.ALERTS_CLEARED.name: report.alerts_opened - report.alerts_open,
        metrics.CYCLES_MISSED.name: 0,
        **{
            f"{metrics.TASK_DURATION.name} of {kind}": sum(task.run_id.startswith(kind) for task in report.tasks)
            for kind in ("train", "score")
        },
    }
    return [
        f"the metric {name} adds up to {totals[name]:g}, and the report to {number:g}"
        for name, number in expected.items()
        if totals[name] != number
    ]


def way_of_a_reading(steps: Sequence[Step]) -> Table:
    """Return the steps of a reading as a table."""
    table = Table(title="The way of a reading that alerted", title_justify="left")
    for name in ("step", "process", "seconds", "about"):
        table.add_column(name, justify="right" if name == "seconds" else "left", overflow="fold")
    for step in steps:
        cells = row(step)
        process = str(cells["process"]).removeprefix("sensorwatch-")
        table.add_row(str(cells["step"]), process, f"{step.span.seconds:.3f}", str(cells["about"]))
    return table
