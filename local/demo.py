"""``make demo``: everything once, from readings to alerts, on servers that it starts and stops."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from local.demo_live import run_live
from local.demo_report import BEHIND_SECONDS, DemoReport
from local.demo_telemetry import differences, measured, path_table
from local.settings_file import write_settings_file
from local.stack import Stack
from sensorwatch.cli.trace import follow
from sensorwatch.errors import SensorwatchError
from sensorwatch.ingestion.records import IngestCounts
from sensorwatch.simulation.anomalies import plan_anomalies
from sensorwatch.simulation.fleet import Fleet
from sensorwatch.simulation.ground_truth import write_ground_truth
from sensorwatch.simulation.matching import Detection, match
from sensorwatch.telemetry.exporting import set_up
from sensorwatch.telemetry.recorded import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sensorwatch.simulation.anomalies import InjectedAnomaly
    from sensorwatch.tasks.records import Kind, RunSummary
    from sensorwatch.telemetry.recorded import Step

__all__ = ["run_demo"]

_HISTORY = timedelta(hours=1)
_FRESH = timedelta(minutes=20)
_ANOMALIES_PER_KIND = 3
_SEED = 7
_LIMIT_SECONDS = 240
_POLL_SECONDS = 0.2
_METRICS_LIMIT_SECONDS = 15
_ALL = 1_000_000
# The demo starts training and scoring itself instead of waiting for their timers; the sweep runs every other second.
# Past readings are sent in blocks with pauses in between, which must not count as silent sensors.
_VALUES = {
    "TRAIN_SCHEDULE": "0 0 0 1 1 *",
    "SCORE_SCHEDULE": "0 0 0 1 1 *",
    "SWEEP_SCHEDULE": "*/2 * * * * *",
    "NO_DATA_FLOOR_SECONDS": "86400",
    # Models are trained twice within a minute, on a machine that may be busy with all servers.
    "RUN_WINDOW_SECONDS": "1",
    "SERVING_DEADLINE_MS": "1000",
    "DATABASE_URL": "sqlite:///sensorwatch.db",
    "TELEMETRY_EXPORTER": "file",
    "TELEMETRY_FILE": "telemetry.jsonl",
}


class DemoError(SensorwatchError):
    """A stage of the demo failed."""


def run_demo(app: Path, template: Path, data: Path, report_file: Path) -> int:
    """Run the demo in a new folder; return 0, or 1 with the problems printed.

    Parameters
    ----------
    app
        Folder of the function app.
    template
        Template of the settings file.
    data
        Folder of the demo's data, logs and settings file; deleted first.
    report_file
        File of the report, as JSON.
    """
    console = Console()
    settings_file = data / "local.settings.json"
    shutil.rmtree(data, ignore_errors=True)
    write_settings_file(settings_file, template, values=_VALUES)
    stages: dict[str, float] = {}
    stack = Stack(app, settings_file, data, report=partial(console.print, markup=False, emoji=False))
    set_up(stack.product.settings, "sensorwatch-demo")
    try:
        with _stage(console, stages, "start the stack"):
            stack.start()
            console.print(f"    dashboard while the demo runs: {stack.host_url}", highlight=False)
        demo = _Demo(console, stack, data / "ground-truth.ndjson", stages)
        report = demo.run()
    except SensorwatchError as exc:
        failure = f" {exc}\nThe servers' logs are in {data / 'logs'}."
        console.print(Text.assemble(("The demo failed:", "red"), failure))
        return 1
    finally:
        stack.stop()
    report_file.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    console.print(report.as_table())
    console.print(path_table(demo.path))
    problems = [*report.problems(), *demo.differing]
    if not demo.differing:
        console.print("The metrics of all processes agree with this report.")
    for problem in problems:
        console.print(Text.assemble(("Problem:", "red"), f" {problem}"))
    if problems:
        console.print(f"The servers' logs are in {data / 'logs'}.", markup=False, emoji=False)
    _print_next(console, settings_file, data, report_file, demo.alert)
    return 1 if problems else 0


class _Demo:
    """The stages between the start and the stop of the stack."""

    def __init__(self, console: Console, stack: Stack, truth_file: Path, stages: dict[str, float]) -> None:
        self._console = console
        self._stack = stack
        self._product = stack.product
        self._truth_file = truth_file
        self._stages = stages
        self._fleet = Fleet(seed=_SEED)
        self._sent = 0
        self.differing: list[str] = []
        self.path: list[Step] = []
        self.alert: tuple[str, str] | None = None

    def run(self) -> DemoReport:
        """Run the stages and return the report.

        The hour of training data has anomalies too, as real data does. Detection is measured on the anomalies in the
        fresh readings, as only these are scored.
        """
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        # When scoring is planned, all windows must be settled.
        end = now - timedelta(seconds=self._product.settings.settle_seconds + 60)
        fresh = end - _FRESH
        before = plan_anomalies(self._fleet.sensors, fresh - _HISTORY, fresh, per_kind=1, seed=_SEED)
        injected = plan_anomalies(self._fleet.sensors, fresh, end, per_kind=_ANOMALIES_PER_KIND, seed=_SEED)
        write_ground_truth(self._truth_file, [*before, *injected])

        with self._stage("send an hour of readings"):
            self._send(fresh - _HISTORY, fresh, before)
        with self._stage("train one model per sensor"):
            trained = self._run("train")
        with self._stage("send fresh readings with anomalies"):
            self._send(fresh, end, injected)
        with self._stage("score, and open alerts"):
            scored = self._run("score")
            self._wait(lambda: not self._product.store.pending_notifications(), "the notifications to be delivered")
        report = self._report(injected, [trained, scored])
        # Compared before the next stage, as that adds to the metrics but not to the report.
        self.differing, self.path = self._differences(report), self._path_of_a_reading()
        with self._stage("score in real time, and swap the models meanwhile"):
            self._console.print("    sending current readings one by one, each of one disturbed sensor")
            live = run_live(self._stack, self._fleet, self._wait, lambda: self._run("train"))
        self.alert = self._alert_to_open()
        return replace(report, live=live)

    def _alert_to_open(self) -> tuple[str, str] | None:
        """Return id and address of the clearest alert, the one with the highest score and most windows."""
        alerts = [alert for alert in self._product.store.alerts(limit=_ALL) if alert.kind == "anomaly"]
        if not alerts:
            return None
        clearest = max(alerts, key=lambda alert: (alert.peak_score, alert.anomalies))
        return clearest.alert_id, f"{self._stack.host_url}/#/alerts/{clearest.alert_id}"

    def _send(self, start: datetime, end: datetime, anomalies: list[InjectedAnomaly]) -> None:
        total = int((end - start).total_seconds() / self._fleet.interval_seconds) * len(self._fleet.sensors)
        with Progress(console=self._console, transient=True) as progress, self._product.sender() as sender:
            bar = progress.add_task("    sending", total=total)
            self._sent += sender.send(
                self._fleet.readings(start, end, anomalies),
                progress=lambda sent: progress.update(bar, completed=sent),
            )
        self._console.print(f"    {self._sent} readings sent")
        self._wait(lambda: self._counts().received >= self._sent, "the readings to be ingested")
        self._console.print(f"    {self._counts().received} readings ingested")

    def _counts(self) -> IngestCounts:
        parts = [status.counts for status in self._product.store.ingest_status()]
        return (
            IngestCounts(*(sum(column) for column in zip(*parts, strict=True)))
            if parts
            else IngestCounts(0, 0, 0, 0, 0)
        )

    def _run(self, kind: Kind) -> RunSummary:
        """Start a timer function and wait for the end of the run that it submits."""
        before = {run.run_id for run in self._product.store.runs(kind)}
        self._stack.fire(kind)
        self._wait(
            lambda: any(run.run_id not in before for run in self._product.store.runs(kind)),
            f"the {kind} timer to submit a job",
        )
        run = self._product.store.runs(kind)[0]
        self._console.print(f"    job {run.run_id} submitted")
        self._wait(lambda: self._product.store.runs(kind)[0].ended_at is not None, f"the job {run.run_id} to end")
        for task in self._product.store.tasks(run.run_id):
            if task.state != "succeeded":
                raise DemoError(f"task {task.spec.task_id} of {run.run_id} {task.state}: {task.detail}")
        return self._product.store.runs(kind)[0]

    def _report(self, injected: list[InjectedAnomaly], runs: list[RunSummary]) -> DemoReport:
        store = self._product.store
        sensors = store.sensors()
        names = {sensor.sensor_id: sensor.key for sensor in sensors}
        detections = [Detection(*names[found.sensor_id], found.end) for found in store.anomalies(limit=_ALL)]
        alerts = store.alerts(limit=_ALL)
        return DemoReport(
            sent=self._sent,
            counts=self._counts(),
            windows=store.window_count(),
            sensors=len(sensors),
            models=DemoReport.ready(sensors),
            tasks=[figures for run in runs for figures in DemoReport.task_figures(run, store.tasks(run.run_id))],
            matched=match(
                injected,
                detections,
                window_seconds=self._product.settings.window_seconds,
                behind_seconds=BEHIND_SECONDS,
            ),
            alerts_opened=len(alerts),
            alerts_open=sum(alert.cleared_end is None for alert in alerts),
            stages=self._stages,
        )

    def _differences(self, report: DemoReport) -> list[str]:
        """Return the differences between the metrics and the report, after waiting for the last metrics."""
        deadline = time.monotonic() + _METRICS_LIMIT_SECONDS
        while True:
            recording = Recording.read(Path(self._product.settings.telemetry_file))
            found = differences(report, measured(recording))
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(_POLL_SECONDS)

    def _path_of_a_reading(self) -> list[Step]:
        """Return the steps of the reading that opened the newest alert; none without an alert."""
        alerts = self._product.store.alerts(limit=1)
        if not alerts:
            return []
        sensor_id = alerts[0].sensor_id
        return follow(self._product, self._product.store.sensors_by_id({sensor_id})[sensor_id])[1]

    def _stage(self, name: str) -> AbstractContextManager[None]:
        return _stage(self._console, self._stages, name)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _LIMIT_SECONDS
        while not condition():
            for server in self._stack.servers.values():
                if server.ended:
                    raise DemoError(f"{server.name} {server.describe_end()}")
            if time.monotonic() > deadline:
                raise DemoError(f"timed out after {_LIMIT_SECONDS} s, waiting for {what}")
            time.sleep(_POLL_SECONDS)


@contextmanager
def _stage(console: Console, stages: dict[str, float], name: str) -> Iterator[None]:
    console.print(f"[bold]{len(stages) + 1}. {name}[/bold]")
    begun = time.monotonic()
    yield
    stages[name] = round(time.monotonic() - begun, 1)


def _print_next(
    console: Console, settings_file: Path, data: Path, report_file: Path, alert: tuple[str, str] | None
) -> None:
    """Print the next commands; ``alert`` is the id and the address of the alert to open first."""
    command = f".venv/bin/sensorwatch --settings {_shown(settings_file)}"
    first = ""
    if alert is not None:
        first = (
            f"  {command} alerts show {alert[0]}\n"
            f"  make up DATA={_shown(data)}   starts the stack with this data; then open this alert's chart:\n"
            f"  {alert[1]}\n"
        )
    console.print(
        f"\nNext:\n{first}"
        f"  {command} alerts      (or sensors, jobs, anomalies, ingest-status, trace)\n"
        f"  {_shown(report_file)}   has this report as JSON\n"
        f"  {_shown(data / 'ground-truth.ndjson')}   has the injected anomalies",
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


def _shown(path: Path) -> str:
    return os.path.relpath(path)
