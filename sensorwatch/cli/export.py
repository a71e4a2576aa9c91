"""Command ``sensorwatch export``: windows of one sensor with their anomalies, for a notebook or a spreadsheet."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.alerts.explanation_text import explanation_text
from sensorwatch.cli.context import CommandContext
from sensorwatch.cli.times import parse_moment
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.settings.text_files import escape_cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from sensorwatch.app import Product
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["register", "sensor_frame", "write_csv"]

_ALL = 1_000_000


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(export)


def export(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help="Device of the sensor.")],
    tag: Annotated[str, typer.Argument(help="Tag of the sensor.")],
    file: Annotated[Path, typer.Argument(help="File to write, .csv or .parquet.")],
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
    """Export the windows of one sensor with their anomalies to a file."""
    if file.suffix not in {".csv", ".parquet"}:
        raise InvalidInputError(f"{file}: expected a file name that ends in .csv or .parquet")
    product = context.ensure_object(CommandContext).product
    found = [sensor for sensor in product.store.sensors() if sensor.key == (device, tag)]
    if not found:
        raise NotFoundError(f"no sensor with device {device} and tag {tag}; `sensorwatch sensors` lists all sensors")
    frame = sensor_frame(product, found[0], after, until or product.clock())
    if file.suffix == ".csv":
        write_csv(frame, file)
    else:
        frame.to_parquet(file, index=False)
    typer.echo(f"wrote {len(frame)} windows to {file}")


def write_csv(frame: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV; texts that a spreadsheet would take for formulas begin with an apostrophe."""
    texts = frame.select_dtypes(include=["object", "string"]).columns
    escaped = frame.assign(**{name: frame[name].map(escape_cell, na_action="ignore") for name in texts})
    escaped.to_csv(file, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")


def sensor_frame(product: Product, sensor: SensorStatus, after: datetime | None, until: datetime) -> pd.DataFrame:
    """Return the windows of a sensor with their anomalies, oldest first.

    Parameters
    ----------
    product
        Adapters and use cases.
    sensor
        The sensor.
    after
        Only windows that end after this time (exclusive, UTC); None for all.
    until
        Only windows that end at or before this time (inclusive, UTC).

    Returns
    -------
    pandas.DataFrame
        Columns of the original system's ``SensorValues`` (TS, Device, Tag, Value), then Readings, the number of
        readings whose mean is Value. The other columns are null for normal windows: Score (0-100), Severity,
        ExpectedLow, ExpectedHigh, ExpectedValue, ModelVersion, TrainingStart and TrainingEnd (ends of windows, UTC),
        SuppressedBy, the reason why the window raises no alert, and Explanation. Column types do not depend on the
        data.
    """
    import pandas as pd

    columns = product.store.read_windows(sensor.shard, after, until)
    own = columns.sensor_id == sensor.sensor_id
    windows = pd.DataFrame(
        {
            "TS": pd.to_datetime(columns.end[own], unit="s", utc=True),
            "Device": sensor.key.device,
            "Tag": sensor.key.tag,
            "Value": columns.value[own],
            "Readings": columns.count[own],
        }
    )
    anomalies = product.store.anomalies(sensor.sensor_id, limit=_ALL)

    def times(seconds: Iterable[int | None]) -> pd.Series:
        return pd.to_datetime(pd.Series(list(seconds), dtype="Int64"), unit="s", utc=True)

    def texts(given: Iterable[str]) -> pd.Series:
        return pd.Series([text or None for text in given], dtype="string")

    def numbers(given: Iterable[float | None]) -> pd.Series:
        return pd.Series(list(given), dtype="float64")

    found = pd.DataFrame(
        {
            "TS": times(each.end for each in anomalies),
            "Score": numbers(each.score for each in anomalies),
            "Severity": texts(each.severity for each in anomalies),
            "ExpectedLow": numbers(each.expected_low for each in anomalies),
            "ExpectedHigh": numbers(each.expected_high for each in anomalies),
            "ExpectedValue": numbers(each.expected_value for each in anomalies),
            "ModelVersion": texts(each.model_version for each in anomalies),
            "TrainingStart": times(each.training_start for each in anomalies),
            "TrainingEnd": times(each.training_end for each in anomalies),
            "SuppressedBy": texts(each.suppressed for each in anomalies),
            "Explanation": texts(explanation_text(each) for each in anomalies),
        }
    )
    return windows.merge(found, on="TS", how="left", sort=True)
