"""``sensorwatch labels``: what windows are known to be, for models that learn from labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.errors import NotFoundError
from sensorwatch.records import SensorKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.label_records import LabelSpan
    from sensorwatch.records import SensorStatus
    from sensorwatch.simulation.anomalies import InjectedAnomaly

__all__ = ["labelled_spans", "labels_app"]

labels_app = typer.Typer(help="What windows are known to be: labels for supervised models.", no_args_is_help=True)


@labels_app.command("import")
def import_labels(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="One JSON object a line with device, tag, kind, start and end, as simulate writes.")
    ],
) -> None:
    """Take in when something was wrong; between its first and last label a sensor counts as normal otherwise."""
    wiring = context.ensure_object(CommandContext).wiring
    spans = labelled_spans(file, wiring.store.sensors(), wiring.settings.window_seconds)
    new = wiring.store.add_labels(spans)
    anomalous = sum(span.anomalous for span in spans)
    sensors = len({span.sensor_id for span in spans})
    typer.echo(f"{anomalous} labels of {sensors} sensors in {file}; {new} of their {len(spans)} spans are new")


@labels_app.command("list")
def list_labels(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the sensors that have labels, imported ones and those of judged alerts."""
    store = context.ensure_object(CommandContext).wiring.store
    keys = {sensor.sensor_id: sensor.key for sensor in store.sensors()}
    by_sensor: dict[int, list[LabelSpan]] = {}
    for span in store.label_spans():
        by_sensor.setdefault(span.sensor_id, []).append(span)
    rows = [_row(keys[sensor_id], spans) for sensor_id, spans in sorted(by_sensor.items())]
    if as_json:
        print_json(rows)
    else:
        print_table("Labels", rows, empty="Nothing is labelled.")


@labels_app.command()
def remove(
    context: typer.Context,
    device: Annotated[str, typer.Argument(help="The sensor's device.")],
    tag: Annotated[str, typer.Argument(help="The sensor's tag.")],
) -> None:
    """Remove a sensor's imported labels; those of alerts stay."""
    store = context.ensure_object(CommandContext).wiring.store
    found = [sensor.sensor_id for sensor in store.sensors() if sensor.key == (device, tag)]
    if not found:
        raise NotFoundError(f"no sensor with device {device} and tag {tag}; `sensorwatch sensors` lists them")
    typer.echo(f"removed {store.remove_labels(found)} spans")


def labelled_spans(file: Path, sensors: Sequence[SensorStatus], window_seconds: int) -> list[LabelSpan]:
    """Return the labels in a ground-truth file.

    Raises
    ------
    InvalidInputError, NotFoundError
        The file can't be read, or speaks of a sensor that is not known.
    """
    from sensorwatch.label_records import KnownAnomaly
    from sensorwatch.labelling import spans_of
    from sensorwatch.simulation.ground_truth import read_ground_truth

    ids = {sensor.key: sensor.sensor_id for sensor in sensors}

    def known(label: InjectedAnomaly) -> KnownAnomaly:
        sensor_id = ids.get(SensorKey(label.device, label.tag))
        if sensor_id is None:
            raise NotFoundError(
                f"{file}: no sensor with device {label.device} and tag {label.tag}; `sensorwatch sensors` lists them"
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
