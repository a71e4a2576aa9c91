"""Commands ``sensorwatch config``: check ``sensorwatch.yaml`` and preview its changes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.errors import NotFoundError

__all__ = ["app"]

app = typer.Typer(help="Check sensorwatch.yaml and preview its changes.", no_args_is_help=True)


@app.command()
def check(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="File to check; default: the setting CONFIGURATION_FILE.")] = None,
) -> None:
    """Check the file including its estimators; exit code 1 with one line for each mistake."""
    from sensorwatch.config.file import parse_configuration
    from sensorwatch.detectors.external.check import check_detectors

    if file is None:
        product = context.ensure_object(CommandContext).product
        place, configuration = product.settings.configuration_file, product.configuration
    elif file.is_file():
        place, configuration = str(file), parse_configuration(file.read_bytes(), str(file))
    else:
        raise NotFoundError(f"{file}: file not found")
    check_detectors(configuration, place)
    rules = len(configuration.detectors)
    if rules:
        typer.echo(f"{place}: valid, {rules} detector {'rule' if rules == 1 else 'rules'}")
    else:
        typer.echo(f"{place}: valid, no detector rules: the setting DETECTOR applies to all sensors")


@app.command()
def diff(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the sensors whose detector or parameters would change with the next training."""
    from sensorwatch.models.config_diff import configuration_changes

    product = context.ensure_object(CommandContext).product
    changes = configuration_changes(
        product.configuration, product.settings.detector, store=product.store, registry=product.models
    )
    rows = [
        {"sensor_id": change.sensor_id, **change.key._asdict(), "now": change.now, "then": change.then}
        for change in changes
    ]
    if as_json:
        print_json(rows)
        return
    print_table("Changes", rows, empty="No changes.")
    if rows:
        total = ", ".join(f"{number} to {then}" for then, number in sorted(Counter(r["then"] for r in rows).items()))
        typer.echo(f"{len(rows)} sensors: {total}. They change with the next training after they have new windows.")
