"""Commands ``sensorwatch sinks``: status and test of alert sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.errors import NotFoundError, SensorwatchError

if TYPE_CHECKING:
    from sensorwatch.alerts.records import SinkStatus

__all__ = ["register"]

_sinks = typer.Typer(help="Show the status of alert sinks, or send a test message.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_sinks, name="sinks")


@_sinks.command("list")
def list_sinks(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the sinks that are on, and those with waiting notifications."""
    product = context.ensure_object(CommandContext).product
    known = {status.name: status for status in product.store.sink_status()}
    on = [sink.name for sink in product.sinks]
    off = [name for name, status in known.items() if name not in on and status.waiting]
    rows = [{"sink": name, "on": name in on, **_row(known.get(name))} for name in [*on, *off]]
    if as_json:
        print_json(rows)
    else:
        print_table("Sinks", rows, empty="No sinks.")


def _row(status: SinkStatus | None) -> dict[str, Any]:
    if status is None:
        return dict.fromkeys(("state", "failing_since", "last_delivery", "waiting", "last_error")) | {
            "state": "unused",
            "waiting": 0,
        }
    return {
        "state": "failing" if status.failing else "ok",
        "failing_since": status.failing_since,
        "last_delivery": status.last_delivery,
        "waiting": status.waiting,
        "last_error": status.last_error,
    }


@_sinks.command("test")
def send_test(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Names of sinks; default: all that are on.")] = None,
) -> None:
    """Send a message that is marked as a test, bypassing the outbox."""
    from sensorwatch.alerts.message import trial_message

    product = context.ensure_object(CommandContext).product
    on = {sink.name: sink for sink in product.sinks}
    unknown = sorted(set(names or ()) - set(on))
    if unknown:
        raise NotFoundError(f"no sink named {', '.join(unknown)} is on; sinks that are on: {', '.join(on)}")
    failed = 0
    for name in names or on:
        try:
            on[name].send(trial_message(name, product.clock(), product.settings.dashboard_url))
        except SensorwatchError as exc:
            failed += 1
            typer.echo(f"{name}: {exc}")
        else:
            typer.echo(f"{name}: delivered")
        finally:
            on[name].close()
    if failed:
        raise typer.Exit(1)
