"""``sensorwatch serve-data``: the data that supervised models are trained on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sensorwatch.cli.context import TIME_FORMATS, CommandContext
from sensorwatch.cli.labels import labelled_spans
from sensorwatch.errors import InvalidInputError

__all__ = ["app"]

app = typer.Typer(help="The data that supervised models are trained on.", no_args_is_help=True)


@app.callback()
def serve_data() -> None:
    """Handle the data that supervised models are trained on."""


@app.command()
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What to write: a name that ends in .csv or .parquet.")],
    width: Annotated[int, typer.Option(min=1, max=64, help="How many values of a sensor are in a row.")] = 3,
    labels: Annotated[
        Path | None, typer.Option(help="A file of labels, as simulate writes it, in place of the stored ones.")
    ] = None,
    device: Annotated[str, typer.Option(help="Pattern of devices.")] = "*",
    tag: Annotated[str, typer.Option(help="Pattern of tags.")] = "*",
    after: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="Only windows that end after this; UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="Only windows that end by then; UTC.")
    ] = None,
) -> None:
    """Write labelled windows with those before them to a file, one row a window."""
    import pyarrow.parquet

    from sensorwatch.sensor_patterns import SensorPattern
    from sensorwatch.steps.labelled_windows import labelled_windows

    if file.suffix not in {".csv", ".parquet"}:
        raise InvalidInputError(f"{file}: expected a name that ends in .csv or .parquet")
    wiring = context.ensure_object(CommandContext).wiring
    spans = None if labels is None else labelled_spans(labels, wiring.store.sensors(), wiring.settings.window_seconds)
    table = labelled_windows(
        wiring.store,
        wanted=SensorPattern(device=device, tag=tag).matches,
        width=width,
        start=after and after.replace(tzinfo=UTC),
        end=until.replace(tzinfo=UTC) if until else wiring.clock(),
        spans=spans,
    )
    if file.suffix == ".csv":
        table.to_pandas().to_csv(file, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    else:
        pyarrow.parquet.write_table(table, file)
    anomalous = sum(table["Label"].to_pylist())
    typer.echo(f"wrote {table.num_rows} windows to {file}, {anomalous} of them anomalous")
    if not table.num_rows:
        typer.echo("no window has a label: import some with `sensorwatch labels import`, or judge alerts", err=True)
