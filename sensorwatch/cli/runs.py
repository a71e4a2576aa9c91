"""Commands ``sensorwatch init``, ``train``, ``score`` and ``jobs``: setup, and runs of training and scoring."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.cli.submitting import submit, task_row
from sensorwatch.errors import NotFoundError

__all__ = ["register"]

_WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Wait until all tasks have ended; exit code 1 if one failed. A run that a timer has started is waited for "
        "too.",
    ),
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
    submit(context.ensure_object(CommandContext).product, "train", wait=wait, as_json=as_json)


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
        submit(product, "score", wait=wait, as_json=as_json)
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
        rows = [task_row(task) for task in product.store.tasks(run_id)]
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
