"""Telemetry of the demo: comparison of its metrics with the report, and the path of a reading to its alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sensorwatch.cli.trace import row
from sensorwatch.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.demo_report import DemoReport
    from sensorwatch.telemetry.recorded import Recording, Step

__all__ = ["differences", "measured", "path_table"]


def measured(recording: Recording) -> dict[str, float]:
    """Return the total of each counter by name, and the number of tasks of each kind."""
    counters = {metric.name: recording.total(metric.name) for metric in metrics.METRICS if metric.kind == "counter"}
    tasks = {
        f"{metrics.TASK_DURATION.name} of {kind}": recording.total(metrics.TASK_DURATION.name, kind=kind)
        for kind in ("train", "score")
    }
    return counters | tasks


def differences(report: DemoReport, totals: Mapping[str, float]) -> list[str]:
    """Return the differences between the metrics and the report, as sentences; empty if there are none."""
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
        f"the total of the metric {name} is {totals[name]:g}, but the report says {number:g}"
        for name, number in expected.items()
        if totals[name] != number
    ]


def path_table(steps: Sequence[Step]) -> Table:
    """Return the steps of a reading as a table."""
    table = Table(title="Path of the reading that opened the newest alert", title_justify="left")
    for name in ("step", "process", "seconds", "about"):
        table.add_column(name, justify="right" if name == "seconds" else "left", overflow="fold")
    for step in steps:
        cells = row(step)
        process = str(cells["process"]).removeprefix("sensorwatch-")
        texts = (str(cells["step"]), process, f"{step.span.seconds:.3f}", str(cells["about"]))
        table.add_row(*map(Text, texts))
    return table
