"""Command ``sensorwatch plan``: runs that are due, with their estimated duration and cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table

__all__ = ["register"]

_Kind = Literal["train", "score"]
_KINDS: tuple[_Kind, _Kind] = ("train", "score")


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(plan)


def plan(
    context: typer.Context,
    kind: Annotated[_Kind | None, typer.Argument(help="Only runs of this kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which runs are due, with their estimated duration and cost. Nothing is submitted."""
    product = context.ensure_object(CommandContext).product
    rows = []
    for each in (kind,) if kind else _KINDS:
        due, estimate = product.plan(each)
        rows.append(
            {
                "run_id": due.run.run_id if due.run else None,
                "kind": each,
                "shards_due": len(due.due),
                "waiting": len(due.due) - estimate.tasks,
                **asdict(estimate),
            }
        )
    if as_json:
        print_json(rows)
        return
    for row in rows:
        title = f"{row['kind']}: {row['run_id'] or 'nothing is due'}"
        print_table(title, [{"what": what, "figure": figure} for what, figure in _lines(row)], empty="")


def _lines(row: dict[str, object]) -> list[tuple[str, str]]:
    cost, history = row["cost"], row["history"]
    waiting = f", {row['waiting']} more shards wait for the next run (MAX_TASKS_PER_RUN)" if row["waiting"] else ""
    return [
        ("tasks", f"{row['tasks']}, one for each shard{waiting}"),
        ("sensors", f"{row['sensors']}"),
        ("sensor-windows", f"at most {row['sensor_windows']}"),
        ("task seconds", f"{row['task_seconds']:.1f}"),
        ("nodes", f"{row['nodes']}"),
        ("wall seconds", f"{row['wall_seconds']:.1f}"),
        ("node-minutes", f"{row['node_minutes']:.2f}"),
        ("cost", "unknown: set NODE_PRICE_PER_HOUR" if cost is None else f"{cost:.4f} {row['currency']}"),
        (
            "estimated from",
            f"{history} earlier tasks of this kind" if history else "defaults: no earlier task of this kind",
        ),
    ]
