"""Commands ``sensorwatch init``, ``train``, ``score`` and ``jobs``: setup, and runs of training and scoring."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.errors import NotFoundError, SensorwatchError

if TYPE_CHECKING:
    from sensorwatch.app import Product
    from sensorwatch.tasks.records import Kind, TaskSummary

__all__ = ["register"]

_POLL_SECONDS = 1.0

_WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait until all tasks have ended; exit code 1 if one failed.")
]


def register(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (init, train, score, jobs):
        app.command()(command)


def init(
    context: typer.Context,
    pool: Annotated[
        bool, typer.Option("--pool", help="Also create the Batch pool, without a managed identity.")
    ] = False,
    user: Annotated[
        list[str] | None,
        typer.Option(help="Grant an Entra identity access to the database: NAME=CLIENT_ID. May be repeated."),
    ] = None,
) -> None:
    """Create or migrate the database tables, and create missing containers. Safe to repeat."""
    from sensorwatch.store.connection.sign_in import parse_user

    users = [parse_user(text) for text in user or []]
    product = context.ensure_object(CommandContext).product
    product.prepare(pool=pool)
    for each in users:
        product.store.add_user(each)
        typer.echo(f"{each.name} can now read and write the database.")
    typer.echo(f"Ready: {product.store.check()}")


def train(context: typer.Context, wait: _WaitOption = False, as_json: JsonOption = False) -> None:
    """Submit the training that is due, as the timer does."""
    _submit(context.ensure_object(CommandContext).product, "train", wait=wait, as_json=as_json)


def score(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(help="Score a data file instead: path, or CONTAINER/NAME of a blob; CSV or Parquet."),
    ] = None,
    wait: _WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Submit the scoring that is due, as the timer does."""
    product = context.ensure_object(CommandContext).product
    if data is None:
        _submit(product, "score", wait=wait, as_json=as_json)
        return
    scored = product.score_data(data)
    if as_json:
        print_json({"run_id": scored.run_id, "data": scored.data, "shards": [asdict(each) for each in scored.shards]})
    else:
        typer.echo(scored)


def jobs(
    context: typer.Context,
    run_id: Annotated[str | None, typer.Argument(help="Run id, to show the tasks of one run.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of runs, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List runs, or the tasks of one run."""
    product = context.ensure_object(CommandContext).product
    if run_id is not None:
        rows = [_task_row(task) for task in product.store.tasks(run_id)]
        if not rows:
            raise NotFoundError(f"no run {run_id}; `sensorwatch jobs` lists all runs")
    else:
        rows = [
            {
                "run_id": run.run_id,
                "created_at": run.created_at,
                "ended_at": run.ended_at,
                **{state: run.tasks.get(state, 0) for state in ("planned", "running", "succeeded", "failed")},
            }
            for run in product.store.runs(limit=limit)
        ]
    if as_json:
        print_json(rows)
    else:
        print_table(run_id or "Runs", rows, empty="No runs yet; run `sensorwatch train` to submit one.")


def _task_row(task: TaskSummary) -> dict[str, object]:
    return {
        "task_id": task.spec.task_id,
        "state": task.state,
        "exit_code": task.exit_code,
        "retries": task.retries,
        "seconds": task.seconds,
        "detail": task.detail,
    }


def _submit(product: Product, kind: Kind, *, wait: bool, as_json: bool) -> None:
    submission = product.submit_due(kind)
    tasks = _wait(product, submission.run_id) if wait and submission.run_id is not None else []
    if as_json:
        print_json({"run_id": submission.run_id, "tasks": submission.tasks, "ended": [_task_row(t) for t in tasks]})
    else:
        typer.echo(f"{kind}: {submission}")
    failed = [task for task in tasks if task.state == "failed"]
    if failed:
        raise SensorwatchError(
            f"{len(failed)} of {len(tasks)} tasks of {submission.run_id} failed; error of the first: {failed[0].detail}"
        )


def _wait(product: Product, run_id: str) -> list[TaskSummary]:
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
            time.sleep(_POLL_SECONDS)
