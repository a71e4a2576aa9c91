"""``make demo``: the whole way once, from readings to alerts, on servers that it starts and stops."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from local.demo_live import run_live
from local.demo_report import BEHIND_SECONDS, DemoReport
from local.demo_telemetry import differences, measured, way_of_a_reading
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
# Fired by hand, so that nobody waits for the hour; what follows from a run is looked after every other second.
# Readings of the past are sent at once, with pauses in between: sensors are not silent for that.
_VALUES = {
    "TRAIN_SCHEDULE": "0 0 0 1 1 *",
    "SCORE_SCHEDULE": "0 0 0 1 1 *",
    "SWEEP_SCHEDULE": "*/2 * * * * *",
    "NO_DATA_FLOOR_SECONDS": "86400",
    # Trained twice within a minute, and on a machine that may be busy with all the servers at once.
    "RUN_WINDOW_SECONDS": "1",
    "SERVING_DEADLINE_MS": "1000",
    "DATABASE_URL": "sqlite:///sensorwatch.db",
    "TELEMETRY_EXPORTER": "file",
    "TELEMETRY_FILE": "telemetry.jsonl",
}


class DemoError(SensorwatchError):
    """A stage did not do its work."""


def run_demo(app: Path, template: Path, data: Path, report_file: Path) -> int:
    """Run the demo in a folder that is made anew; return 0, or 1 with the reasons printed.

    Parameters
    ----------
    app
        Folder of the function app.
    template
        Template of the settings file.
    data
        Folder of the demo's data, logs and settings file.
    report_file
        Where the report goes as JSON.
    """
    console = Console()
    settings_file = data / "local.settings.json"
    shutil.rmtree(data, ignore_errors=True)
    write_settings_file(settings_file, template, values=_VALUES)
    stages: dict[str, float] = {}
    stack = Stack(app, settings_file, data, report=console.print)
    set_up(stack.product.settings, "sensorwatch-demo")
    try:
        with _stage(console, stages, "start the stack"):
            stack.start()
        demo = _Demo(console, stack, data / "ground-truth.ndjson", stages)
        report = demo.run()
    except SensorwatchError as exc:
        console.print(f"[red]The demo failed:[/red] {exc}\nThe servers' logs are in {data / 'logs'}")
        return 1
    finally:
        stack.stop()
    report_file.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    console.print(report.as_table())
    console.print(way_of_a_reading(demo.way))
    problems = [*report.problems(), *demo.differing]
    if not demo.differing:
        console.print("The metrics that the processes published add up to this report.")
    for problem in problems:
        console.print(f"[red]Not as it should be:[/red] {problem}")
    _print_next(console, settings_file, data, report_file)
    return 1 if problems else 0


class _Demo:
    """The stages between the start and the end of the stack."""

    def __init__(self, console: Console, stack: Stack, truth_file: Path, stages: dict[str, float]) -> None:
        self._console = console
        self._stack = stack
        self._product = stack.product
        self._truth_file = truth_file
        self._stages = stages
        self._fleet = Fleet(seed=_SEED)
        self._sent = 0
        self.differing: list[str] = []
        self.way: list[Step] = []

    def run(self) -> DemoReport:
        """Go through the stages and return what they found.

        The hour that the models are trained on holds anomalies too, as real data does; detection is judged by those in
        the fresh readings, which alone are scored.
        """
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        # All windows must be settled when scoring is planned.
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
        # What follows goes on while it is looked at, and is not in these figures.
        self.differing, self.way = self._differences(report), self._way_of_a_reading()
        with self._stage("score in real time, and swap the models meanwhile"):
            self._console.print("    readings of now are sent one by one, each far off")
            live = run_live(self._stack, self._wait, lambda: self._run("train"))
        return replace(report, live=live)

    def _send(self, start: datetime, end: datetime, anomalies: list[InjectedAnomaly]) -> None:
        total = int((end - start).total_seconds() / self._fleet.interval_seconds) * len(self._fleet.sensors)
        with Progress(console=self._console, transient=True) as progress, self._product.sender() as sender:
            bar = progress.add_task("    sending", total=total)
            self._sent += sender.send(
                self._fleet.readings(start, end, anomalies),
                progress=lambda sent: progress.update(bar, completed=sent),
            )
        self._console.print(f"    {self._sent} readings are sent")
        self._wait(lambda: self._counts().received >= self._sent, "the readings to be ingested")
        self._console.print(f"    {self._counts().received} readings are ingested")

    def _counts(self) -> IngestCounts:
        parts = [status.counts for status in self._product.store.ingest_status()]
        return (
            IngestCounts(*(sum(column) for column in zip(*parts, strict=True)))
            if parts
            else IngestCounts(0, 0, 0, 0, 0)
        )

    def _run(self, kind: Kind) -> RunSummary:
        """Fire a timer and wait for the end of what it submits."""
        before = {run.run_id for run in self._product.store.runs(kind)}
        self._stack.fire(kind)
        self._wait(
            lambda: any(run.run_id not in before for run in self._product.store.runs(kind)),
            f"the {kind} timer to submit a job",
        )
        run = self._product.store.runs(kind)[0]
        self._console.print(f"    job {run.run_id} is submitted")
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
        """Return where the metrics do not add up to the report, once every process has written its last ones."""
        deadline = time.monotonic() + _METRICS_LIMIT_SECONDS
        while True:
            recording = Recording.read(Path(self._product.settings.telemetry_file))
            found = differences(report, measured(recording))
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(_POLL_SECONDS)

    def _way_of_a_reading(self) -> list[Step]:
        """Return the steps of the reading that opened the newest alert; none where there is no alert."""
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
                    raise DemoError(f"{server.name} did not stay up: {server.describe_end()}")
            if time.monotonic() > deadline:
                raise DemoError(f"waited {_LIMIT_SECONDS} s for {what}")
            time.sleep(_POLL_SECONDS)


@contextmanager
def _stage(console: Console, stages: dict[str, float], name: str) -> Iterator[None]:
    console.print(f"[bold]{len(stages) + 1}. {name}[/bold]")
    begun = time.monotonic()
    yield
    stages[name] = round(time.monotonic() - begun, 1)


def _print_next(console: Console, settings_file: Path, data: Path, report_file: Path) -> None:
    command = f".venv/bin/sensorwatch --settings {_shown(settings_file)}"
    console.print(
        f"\nWhere to look next:\n"
        f"  {command} alerts      (or sensors, jobs, anomalies, ingest-status, trace)\n"
        f"  {_shown(report_file)}   this report as JSON\n"
        f"  {_shown(data / 'ground-truth.ndjson')}   the injected anomalies\n"
        f"  make up DATA={_shown(data)}   the stack again, with this data",
        highlight=False,
        soft_wrap=True,
    )


def _shown(path: Path) -> str:
    return os.path.relpath(path)
