"""Root of the command line: global options and registration of all commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sensorwatch import __version__
from sensorwatch.cli import (
    alerts,
    backtest,
    config,
    deadletters,
    doctor,
    evaluate,
    export,
    labels,
    machines,
    models,
    move_in,
    muting,
    plan,
    readings,
    rules,
    runs,
    sensors,
    serve_data,
    serving,
    sinks,
    trace,
    views,
)
from sensorwatch.cli.context import CommandContext

__all__ = ["app"]

app = typer.Typer(
    name="sensorwatch",
    help="Anomaly detection for IoT fleets, with one model per sensor.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
readings.register(app)
move_in.register(app)
plan.register(app)
backtest.register(app)
runs.register(app)
sensors.register(app)
views.register(app)
alerts.register(app)
muting.register()
app.add_typer(labels.labels_app, name="labels")
rules.register(app)
app.add_typer(models.app, name="models")
evaluate.register(app)
app.add_typer(machines.app, name="maintenance")
export.register(app)
app.add_typer(serve_data.app, name="serve-data")
deadletters.register(app)
serving.register(app)
sinks.register(app)
trace.register(app)
app.add_typer(config.app, name="config")
doctor.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    settings: Annotated[
        Path | None,
        typer.Option(
            envvar="SENSORWATCH_SETTINGS",
            help="Settings file; default: local.settings.json if it exists. Environment variables override it.",
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Anomaly detection for IoT fleets, with one model per sensor."""
    context.obj = CommandContext(settings, os.environ)
