"""Commands ``sensorwatch labels``: labels of windows, for supervised models."""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.sensors.records import SensorKey
from sensorwatch.text_files import escape_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.alerts.handling import Label
    from sensorwatch.sensors.labels import LabelSpan
    from sensorwatch.sensors.records import SensorStatus
    from sensorwatch.simulation.anomalies import InjectedAnomaly

__all__ = ["labelled_spans", "labels_app"]

labels_app = typer.Typer(
    help="Import, export, list and remove labels of windows, for supervised models.", no_args_is_help=True
)


@labels_app.command("import")
def import_labels(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(help="NDJSON file with device, tag, kind, start and end, as `sensorwatch simulate` writes it."),
    ],
) -> None:
    """Import known anomalies; between its first and last label, all other windows of a sensor are labelled normal."""
    product = context.ensure_object(CommandContext).product
    spans = labelled_spans(file, product.store.sensors(), product.settings.window_seconds)
    new = product.store.add_labels(spans)
    anomalous = sum(span.anomalous for span in spans)
    sensors = len({span.sensor_id for span in spans})
    typer.echo(f"{file}: {anomalous} labels of {sensors} sensors; {new} of their {len(spans)} spans are new")


@labels_app.command("list")
def list_labels(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the sensors with labels, imported or from verdicts on alerts."""
    store = context.ensure_object(CommandContext).product.store
    keys = {sensor.sensor_id: sensor.key for sensor in store.sensors()}
    by_sensor: dict[int, list[LabelSpan]] = {}
    for span in store.label_spans():
        by_sensor.setdefault(span.sensor_id, []).append(span)
    rows = [_row(keys[sensor_id], spans) for sensor_id, spans in sorted(by_sensor.items())]
    if as_json:
        print_json(rows)
    else:
        print_table("Labels", rows, empty="No labels.")


@labels_app.command()
def remove(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help="Device of the sensor.")],
    tag: Annotated[str, typer.Argument(help="Tag of the sensor.")],
) -> None:
    """Remove the imported labels of a sensor; labels from verdicts on alerts are kept."""
    store = context.ensure_object(CommandContext).product.store
    found = [sensor.sensor_id for sensor in store.sensors() if sensor.key == (device, tag)]
    if not found:
        raise NotFoundError(f"no sensor with device {device} and tag {tag}; `sensorwatch sensors` lists all sensors")
    typer.echo(f"removed {store.remove_labels(found)} spans")


@labels_app.command("export")
def export_labels(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="File to write, .csv or .ndjson; default: NDJSON to stdout.")
    ] = None,
) -> None:
    """Export all alerts with a verdict, to train supervised models."""
    if file is not None and file.suffix not in {".csv", ".ndjson"}:
        raise InvalidInputError(f"{file}: expected a file name that ends in .csv or .ndjson")
    rows = [_label_row(label) for label in context.ensure_object(CommandContext).product.store.labels()]
    if file is None or file.suffix == ".ndjson":
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        if file is None:
            sys.stdout.write(lines)
            return
        file.write_text(lines, encoding="utf-8")
    else:
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, _LABEL_COLUMNS)
            writer.writeheader()
            writer.writerows(
                {name: escape_cell(value) if isinstance(value, str) else value for name, value in row.items()}
                for row in rows
            )
    typer.echo(f"wrote {len(rows)} labels to {file}")


_LABEL_COLUMNS = (
    *("device", "tag", "alert_id", "kind", "label", "opened", "last_anomaly", "cleared", "anomalies"),
    *("peak_score", "severity", "peak_value", "expected_low", "expected_high", "model_version"),
    *("training_start", "training_end", "labelled_by", "labelled_at", "explanation"),
)


def _label_row(label: Label) -> dict[str, Any]:
    alert, handling = label.handled.alert, label.handled.handling
    values = (
        *(label.sensor.device, label.sensor.tag, alert.alert_id, alert.kind, handling.feedback),
        *map(_time, (alert.opened_end, alert.last_anomaly_end, alert.cleared_end)),
        *(alert.anomalies, alert.peak_score, alert.severity, alert.peak_value),
        *(alert.expected_low, alert.expected_high, alert.model_version),
        *map(_time, (alert.training_start, alert.training_end)),
        *(handling.feedback_by, handling.feedback_at and handling.feedback_at.astimezone(UTC).isoformat()),
        alert.explanation or None,
    )
    return dict(zip(_LABEL_COLUMNS, values, strict=True))


def labelled_spans(file: Path, sensors: Sequence[SensorStatus], window_seconds: int) -> list[LabelSpan]:
    """Return the labels in a file of known anomalies.

    Parameters
    ----------
    file
        NDJSON file, as ``sensorwatch simulate`` writes it.
    sensors
        Catalogue of sensors.
    window_seconds
        Length of a window in seconds.

    Raises
    ------
    InvalidInputError
        The file cannot be read.
    NotFoundError
        The file names a sensor that is not in the catalogue.
    """
    from sensorwatch.sensors.labelling import spans_of
    from sensorwatch.sensors.labels import KnownAnomaly
    from sensorwatch.simulation.ground_truth import read_ground_truth

    ids = {sensor.key: sensor.sensor_id for sensor in sensors}

    def known(label: InjectedAnomaly) -> KnownAnomaly:
        sensor_id = ids.get(SensorKey(label.device, label.tag))
        if sensor_id is None:
            raise NotFoundError(
                f"{file}: no sensor with device {label.device} and tag {label.tag}; "
                "`sensorwatch sensors` lists all sensors"
            )
        return KnownAnomaly(sensor_id, label.start, label.end)

    return spans_of([known(label) for label in read_ground_truth(file)], window_seconds)


def _row(key: SensorKey, spans: Sequence[LabelSpan]) -> dict[str, Any]:
    return {
        **key._asdict(),
        "anomalous": sum(span.anomalous for span in spans),
        "normal": sum(not span.anomalous for span in spans),
        "first_end": utc_text(min(span.first_end for span in spans)),
        "last_end": utc_text(max(span.last_end for span in spans)),
    }


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else utc_text(seconds)
