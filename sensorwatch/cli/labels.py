"""Commands ``sensorwatch labels``: labels of windows, for supervised models."""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from sensorwatch.alerts.handling import Verdict
from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.errors import InvalidInputError, NotFoundError
from sensorwatch.sensors.labels import LabelSpan
from sensorwatch.sensors.records import SensorKey
from sensorwatch.settings.text_files import escape_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sensorwatch.alerts.handling import Label
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["labelled_spans", "labels_app"]

labels_app = typer.Typer(
    help="Import, export, list and remove labels of windows, for supervised models.", no_args_is_help=True
)


@labels_app.command("import")
def import_labels(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="NDJSON or CSV file: device, tag, start and end, as `sensorwatch simulate` writes it, or the output "
            "of `sensorwatch labels export`."
        ),
    ],
) -> None:
    """Import known anomalies and alerts with a verdict; other windows between a sensor's labels are labelled normal."""
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
    """Return the labels in a file: of known anomalies, and of alerts with a verdict.

    Parameters
    ----------
    file
        NDJSON or CSV file, as ``sensorwatch simulate`` or ``sensorwatch labels export`` writes it. Alerts of another
        kind than ``anomaly`` are left out, because their windows show nothing unusual.
    sensors
        Catalogue of sensors.
    window_seconds
        Length of a window in seconds.

    Raises
    ------
    InvalidInputError
        The file cannot be read, or a row is not a label.
    NotFoundError
        The file names a sensor that is not in the catalogue.
    """
    from sensorwatch.sensors.labelling import spans_of
    from sensorwatch.sensors.labels import KnownAnomaly
    from sensorwatch.simulation.ground_truth import anomaly_of, read_label_rows, text_field

    ids = {sensor.key: sensor.sensor_id for sensor in sensors}
    known: list[KnownAnomaly] = []
    judged: set[LabelSpan] = set()
    for place, fields in read_label_rows(file):
        key = SensorKey(text_field(place, fields, "device"), text_field(place, fields, "tag"))
        exported = "label" in fields and "opened" in fields
        found = _judged(place, fields) if exported else anomaly_of(place, fields)
        if found is None:
            continue
        sensor_id = ids.get(key)
        if sensor_id is None:
            raise NotFoundError(
                f"{place}: no sensor with device {key.device} and tag {key.tag}; `sensorwatch sensors` lists all "
                "sensors"
            )
        if isinstance(found, tuple):
            judged.add(LabelSpan(sensor_id, *found))
        else:
            known.append(KnownAnomaly(sensor_id, found.start, found.end))
    return spans_of(known, window_seconds) + sorted(judged)


def _judged(place: str, fields: Mapping[str, Any]) -> tuple[int, int, bool] | None:
    """Return the first and last end of an exported alert's windows, and whether they are anomalous."""
    from sensorwatch.simulation.ground_truth import text_field, time_field

    verdict = text_field(place, fields, "label")
    if verdict not in get_args(Verdict):
        raise InvalidInputError(f"{place}: label: expected one of {', '.join(get_args(Verdict))}, got `{verdict}`")
    first, last = (int(time_field(place, fields, name).timestamp()) for name in ("opened", "last_anomaly"))
    if last < first:
        raise InvalidInputError(f"{place}: last_anomaly: expected a time not before `opened`, got {utc_text(last)}")
    return (first, last, verdict == "confirmed") if (fields.get("kind") or "anomaly") == "anomaly" else None


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
