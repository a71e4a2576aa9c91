"""Command ``sensorwatch import``: migration from the original system."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from sensorwatch.app import Product
    from sensorwatch.ingestion.records import Reading

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("import")(import_)


def import_(
    context: typer.Context,
    configurations: Annotated[
        list[Path] | None,
        typer.Argument(
            help="JSON configuration files of a Batch AI sample, such as train_config.json and bai_pred_config.json."
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="CSV file with TS, Device, Tag and Value to import.")] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE", help="Import a table of the database whose URL is in this environment variable."
        ),
    ] = None,
    table: Annotated[str, typer.Option(help="Name of the table.")] = "SensorValues",
    as_json: JsonOption = False,
) -> None:
    """Migrate sensors, settings and history from one of the Batch AI samples. Safe to repeat."""
    from sensorwatch.config.original_system import parse_configuration_files

    if not (configurations or data or database):
        raise InvalidInputError("nothing to import: give configuration files, --data or --database")
    system = parse_configuration_files((path.name, _content(path)) for path in configurations or [])
    sources = [
        *([(f"file {data.name}", *_recording(data))] if data else []),
        *([(f"table {table}", *_table(database, table))] if database else []),
    ]
    product = context.ensure_object(CommandContext).product
    if system.sensors:
        product.store.sensor_ids(system.sensors)
    imported = [_import(product, *source) for source in sources]
    if as_json:
        print_json({**asdict(system), "imported": imported})
        return
    if system.sensors:
        typer.echo(f"{len(system.sensors)} sensors are in the catalogue.")
    if configurations:
        typer.echo("Settings that correspond to the files (see docs/reference/settings.md):")
        for name, value in system.settings.items():
            typer.echo(f"  {name}={value}")
    if system.data:
        typer.echo(
            f"The original system scored a data file; to do the same, run: sensorwatch score --data {system.data}"
        )
    for key, reason in system.left_out.items():
        typer.echo(f"Left out: {key} ({reason})")
    for each in imported:
        typer.echo(
            f"{each['source']}: {each['accepted']} readings imported, {each['already_there']} were imported before, "
            f"{each['invalid'] + each['unusable_rows']} cannot be used"
        )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidInputError(f"{path}: cannot read the configuration file: {exc}") from exc


def _recording(path: Path) -> tuple[list[Reading], int]:
    from sensorwatch.simulation.recorded import read_recording

    recording = read_recording(path)
    return list(recording.readings), len(recording.skipped)


def _table(variable: str, table: str) -> tuple[list[Reading], int]:
    from sensorwatch.store.original_table import read_original_table

    url = os.environ.get(variable)
    if not url:
        raise InvalidInputError(
            f"--database: expected the name of an environment variable with a URL; {variable} is not set"
        )
    return read_original_table(url, table)


def _import(product: Product, source: str, readings: list[Reading], unusable_rows: int) -> dict[str, Any]:
    outcome = product.import_readings(source, readings)
    return {
        "source": source,
        "already_there": outcome.already_there,
        **outcome.counts._asdict(),
        "unusable_rows": unusable_rows,
    }
