"""Commands ``sensorwatch serving``: status and results of real-time scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sensorwatch.realtime.records import ModelAnswer, ServedWindow

__all__ = ["register"]

_serving = typer.Typer(help="Show status and results of real-time scoring.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_serving, name="serving")


@_serving.command()
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the number of readings of each partition by outcome, and refused model versions."""
    store = context.ensure_object(CommandContext).product.store
    partitions = [
        {**each.partition._asdict(), **each.counts._asdict(), "updated": each.updated}
        for each in store.serving_status()
    ]
    refused = [
        {
            "model": each.model,
            "shard": each.shard,
            "version": each.version,
            "reason": each.reason,
            "refused_at": each.refused_at,
        }
        for each in store.refused_versions()
    ]
    if as_json:
        print_json({"partitions": partitions, "refused": refused})
        return
    nothing = "Nothing was scored in real time yet; set SERVING_CONSUMER_GROUP to switch it on."
    print_table("Real time (readings)", partitions, empty=nothing)
    if refused:
        print_table("Refused versions", refused, empty="")


@_serving.command()
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List models with their latencies, timeouts and disagreement rates."""
    rows = [use.summary() for use in context.ensure_object(CommandContext).product.store.model_uses()]
    if as_json:
        print_json(rows)
    else:
        print_table("Models in real time", rows, empty="No model was used in real time yet.")


@_serving.command()
def windows(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of windows, newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the newest windows that at least one model found anomalous, with the results of all models."""
    product = context.ensure_object(CommandContext).product
    found = product.store.served_windows(limit=limit)
    names = product.store.sensors_by_id({each.sensor_id for each in found})
    rows = [
        {"window_end": utc_text(each.end), **names[each.sensor_id].key._asdict(), **_window(each)} for each in found
    ]
    if as_json:
        print_json(rows)
        return
    shown = [row | {"answers": _answers_text(each.answers)} for row, each in zip(rows, found, strict=True)]
    print_table("Windows scored in real time", shown, empty="No anomalous windows in real time.")


def _window(window: ServedWindow) -> dict[str, Any]:
    return {
        "readings": window.readings,
        "value": window.value,
        "score": window.score,
        "anomalous": window.anomalous,
        "winner": window.winner,
        "decider": window.combiner,
        "model_version": window.model_version,
        "disagreement": window.models_disagree,
        "answers": {
            name: None if each is None else {"score": each.score, "version": each.version, "seconds": each.seconds}
            for name, each in window.answers.items()
        },
        "scored_at": window.scored_at,
    }


def _answers_text(answers: Mapping[str, ModelAnswer | None]) -> str:
    parts = (
        f"{name} missed the deadline" if each is None else f"{name} {each.score:.0f} in {1000 * each.seconds:.1f} ms"
        for name, each in answers.items()
    )
    return ", ".join(parts)
