"""Command ``sensorwatch serve-data export``: training data of supervised models."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sensorwatch.cli.context import CommandContext
from sensorwatch.cli.export import write_csv
from sensorwatch.cli.labels import labelled_spans
from sensorwatch.cli.times import parse_moment
from sensorwatch.errors import InvalidInputError

__all__ = ["app"]

app = typer.Typer(help="Export the training data of supervised models.", no_args_is_help=True)


@app.callback()
def serve_data() -> None:
    """Export the training data of supervised models."""


@app.command()
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write, .csv or .parquet.")],
    width: Annotated[int, typer.Option(min=1, max=64, help="Number of values of a sensor in a row.")] = 3,
    labels: Annotated[
        Path | None,
        typer.Option(help="NDJSON file of labels, as `sensorwatch simulate` writes it; default: stored labels."),
    ] = None,
    device: Annotated[str, typer.Option(help="Pattern of devices.")] = "*",
    tag: Annotated[str, typer.Option(help="Pattern of tags.")] = "*",
    after: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_moment,
            metavar="TIME",
            help="Only windows that end after this time, in UTC.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_moment,
            metavar="TIME",
            help="Only windows that end at or before this time, in UTC.",
        ),
    ] = None,
) -> None:
    """Export labelled windows with their lagged values, one row for each window."""
    import pyarrow.parquet

    from sensorwatch.models.training_data import labelled_windows
    from sensorwatch.sensors.patterns import matches_pattern

    if file.suffix not in {".csv", ".parquet"}:
        raise InvalidInputError(f"{file}: expected a file name that ends in .csv or .parquet")
    product = context.ensure_object(CommandContext).product
    spans = None if labels is None else labelled_spans(labels, product.store.sensors(), product.settings.window_seconds)
    table = labelled_windows(
        product.store,
        wanted=lambda key: matches_pattern(key.device, device) and matches_pattern(key.tag, tag),
        width=width,
        start=after,
        end=until or product.clock(),
        spans=spans,
    )
    if file.suffix == ".csv":
        write_csv(table.to_pandas(), file)
    else:
        pyarrow.parquet.write_table(table, file)
    anomalous = sum(table["Label"].to_pylist())
    typer.echo(f"wrote {table.num_rows} windows to {file}, {anomalous} of them anomalous")
    if not table.num_rows:
        typer.echo("no labelled windows: run `sensorwatch labels import`, or give feedback on alerts", err=True)
