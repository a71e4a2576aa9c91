"""Submission of training and scoring by hand: wait for the end, and say what is there and what to do next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sensorwatch.cli.context import print_json
from sensorwatch.errors import SensorwatchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorwatch.app import Product
    from sensorwatch.tasks.records import Kind, TaskSummary

__all__ = ["submit", "task_row"]

_POLL_SECONDS = 1.0
_ROUNDS = 5


def submit(
    product: Product,
    kind: Kind,
    *,
    wait: bool,
    as_json: bool,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Submit the run that is due, and print what became of it.

    Parameters
    ----------
    product
        Use cases of the settings.
    kind
        Kind of the run.
    wait
        Whether to wait for the end of the run. If a timer has started a run of the same shards or of the same minute,
        that one is waited for first, and what is then still due is submitted as soon as possible.
    as_json
        Whether to print JSON.
    sleep
        Pause of that many seconds.

    Raises
    ------
    SensorwatchError
        A task failed.
    """
    submission = product.submit_due(kind)
    tasks: list[TaskSummary] = []
    for _ in range(_ROUNDS if wait else 0):
        if submission.tasks:
            tasks = _wait(product, str(submission.run_id), sleep)
            break
        others = [run.run_id for run in product.store.open_runs() if run.kind == kind]
        if not (others or submission.next_run):
            break
        for run_id in others:
            typer.echo(f"{kind}: {run_id} runs already, started by the timer or another command", err=True)
            _wait(product, run_id, sleep)
        if submission.next_run is not None:
            seconds = (submission.next_run - product.clock()).total_seconds()
            if seconds > 0:
                typer.echo(f"{kind}: {submission}; waiting until then", err=True)
                sleep(seconds)
        submission = product.submit_due(kind)
    if as_json:
        print_json(
            {"run_id": submission.run_id, "tasks": submission.tasks, "ended": [task_row(each) for each in tasks]}
        )
    else:
        nothing = submission.run_id is None and not submission.running
        typer.echo(f"{kind}: {submission}{_reason(product, kind) if nothing else ''}")
    failed = [task for task in tasks if task.state == "failed"]
    if failed:
        raise SensorwatchError(
            f"{len(failed)} of {len(tasks)} tasks of {submission.run_id} failed; error of the first: {failed[0].detail}"
        )
    if tasks and not as_json:
        typer.echo(_result(product, kind))


def task_row(task: TaskSummary) -> dict[str, object]:
    """Return a task as a row of a table."""
    return {
        "task_id": task.spec.task_id,
        "state": task.state,
        "exit_code": task.exit_code,
        "retries": task.retries,
        "seconds": task.seconds,
        "detail": task.detail,
    }


def _reason(product: Product, kind: Kind) -> str:
    """Return why nothing is due, and the next step, as the end of a sentence."""
    activity = product.store.shard_activity()
    sensors, trained = sum(each.sensors for each in activity), sum(each.trained_sensors for each in activity)
    if not sensors:
        return ": no reading is ingested yet. Next: sensorwatch simulate"
    if kind == "score" and not trained:
        return f": none of {sensors} sensors has a model yet. Next: sensorwatch train --wait"
    last = next(iter(product.store.runs(kind, limit=1)), None)
    done = f" {last.run_id} did it, started by the timer or a command." if last else ""
    if kind == "train":
        return f": the models are as new as the readings.{done} Next: sensorwatch score --wait"
    until = max((each.scored_until for each in activity if each.scored_until is not None), default=None)
    settled = f" up to {until:%H:%M:%S} UTC" if until else ""
    return f": all settled windows{settled} are scored.{done} Next: sensorwatch alerts"


def _result(product: Product, kind: Kind) -> str:
    """Return what is there after a run, and the next step."""
    if kind == "train":
        activity = product.store.shard_activity()
        sensors, trained = sum(each.sensors for each in activity), sum(each.trained_sensors for each in activity)
        missing = "" if trained == sensors else "; `sensorwatch sensors` says what the others lack"
        return f"{trained} of {sensors} sensors have a model{missing}. Next: sensorwatch score --wait"
    conditions = product.store.alert_counts().conditions
    resolved = conditions["resolved"]
    current = sum(conditions.values()) - resolved
    return f"alerts: {current} open, {resolved} resolved. Next: sensorwatch alerts"


def _wait(product: Product, run_id: str, sleep: Callable[[float], object]) -> list[TaskSummary]:
    """Sweep until the run has ended, with a progress bar on standard error."""
    columns = (TextColumn(run_id), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(run_id, total=None)
        while True:
            product.sweep()
            tasks = product.store.tasks(run_id)
            progress.update(
                bar, total=len(tasks), completed=sum(task.state in {"succeeded", "failed"} for task in tasks)
            )
            if run_id not in {run.run_id for run in product.store.open_runs()}:
                return tasks
            sleep(_POLL_SECONDS)
