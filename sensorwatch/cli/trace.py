"""Command ``sensorwatch trace``: path of one reading, from sending to the notifications of its alert."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.alerts.handling import AlertFilter
from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.cli.times import parse_moment
from sensorwatch.errors import InvalidInputError, NotFoundError, SettingsError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, parse_time, ticks_of
from sensorwatch.ingestion.windows import window_end
from sensorwatch.sensors.states import SensorQuery
from sensorwatch.telemetry.recorded import ReadingToFollow, Recording, Step

if TYPE_CHECKING:
    from sensorwatch.app import Product
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["follow", "register", "row"]

_MOST_SENSORS = 1000
_SHOWN = {
    "messaging.destination.partition.id": "partition",
    "sensorwatch.device": "device",
    "sensorwatch.readings": "readings",
    "sensorwatch.readings.accepted": "accepted",
    "sensorwatch.readings.scored": "scored",
    "sensorwatch.run": "run",
    "sensorwatch.shard": "shard",
    "sensorwatch.anomalies": "anomalies",
    "sensorwatch.file": "file",
    "sensorwatch.alerts.opened": "alerts opened",
    "sensorwatch.sink": "sink",
    "sensorwatch.notification": "notification",
}
_LINKS = {"sent": "ingested it", "window": "scored its window", "alert": "its window opened an alert"}


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(trace)


def trace(
    context: typer.Context,
    device: Annotated[
        str | None, typer.Argument(help="Device of the reading; default: that of the newest alert.")
    ] = None,
    tag: Annotated[str | None, typer.Argument(help="Tag of the reading.")] = None,
    at: Annotated[
        str | None,
        typer.Option(help="Time of the reading (ISO 8601); default: the window of the sensor's newest alert."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the path of one reading through all processes. Requires TELEMETRY_EXPORTER=file."""
    if (device is None) != (tag is None) or (at is not None and device is None):
        raise InvalidInputError("expected DEVICE and TAG, optionally with --at, or no arguments for the newest alert")
    product = context.ensure_object(CommandContext).product
    if product.settings.telemetry_exporter != "file":
        raise SettingsError(
            f"TELEMETRY_EXPORTER: expected `file`, got `{product.settings.telemetry_exporter}`; "
            f"for other exporters see docs/operations/observability.md"
        )
    sensor = _newest_alerts_sensor(product) if device is None or tag is None else _sensor(product, device, tag)
    reading, steps = follow(product, sensor, at)
    if as_json:
        print_json({"reading": asdict(reading), "steps": [asdict(step) for step in steps]})
        return
    title = f"{sensor.key.device} / {sensor.key.tag}, window that ends {utc_text(reading.end)}"
    print_table(title, [row(step) for step in steps], empty=f"{title}: no spans in {product.settings.telemetry_file}")


def follow(product: Product, sensor: SensorStatus, at: str | None = None) -> tuple[ReadingToFollow, list[Step]]:
    """Return a reading of a sensor with the spans on its path.

    Parameters
    ----------
    product
        Adapters and use cases.
    sensor
        The sensor.
    at
        Time of the reading, ISO 8601; None for the window that opened the sensor's newest alert or, without an alert,
        the newest window.

    Raises
    ------
    typer.BadParameter
        ``at`` is not a time.
    NotFoundError
        The sensor has no windows, or there is no telemetry file.
    """
    seconds = product.settings.window_seconds
    if at is None:
        end = _end_of_interest(product, sensor)
        first, last = (end - seconds) * TICKS_PER_SECOND + 1, end * TICKS_PER_SECOND
    else:
        first = last = _ticks(at)
        end = window_end(first, seconds)
    reading = ReadingToFollow(sensor.key.device, sensor.sensor_id, sensor.shard, first, last, end)
    return reading, Recording.read(Path(product.settings.telemetry_file)).follow(reading)


def _ticks(at: str) -> int:
    try:
        # Readings are told apart by all seven digits of their fraction.
        return parse_time(at)
    except ValueError:
        return ticks_of(parse_moment(at))


def _sensor(product: Product, device: str, tag: str) -> SensorStatus:
    found = product.store.find_sensors(SensorQuery(None, device, tag), product.freshness, limit=_MOST_SENSORS)
    for sensor in found:
        if sensor.key == (device, tag):
            return sensor
    raise NotFoundError(f"no sensor {device} / {tag}; `sensorwatch sensors` lists all sensors")


def _newest_alerts_sensor(product: Product) -> SensorStatus:
    newest = product.store.alerts(limit=1)
    if not newest:
        raise NotFoundError("there are no alerts yet; give DEVICE and TAG")
    return product.store.sensors_by_id({newest[0].sensor_id})[newest[0].sensor_id]


def _end_of_interest(product: Product, sensor: SensorStatus) -> int:
    for handled in product.store.handled_alerts(AlertFilter(sensor_id=sensor.sensor_id), limit=1):
        return handled.alert.opened_end
    if sensor.last_window is None:
        raise NotFoundError(f"{sensor.key.device} / {sensor.key.tag} has no windows yet")
    return int(sensor.last_window.timestamp())


def row(step: Step) -> dict[str, object]:
    """Return a step as a row of the printed table."""
    span = step.span
    about = span.attributes
    shown = [f"{label} {about[name]}" for name, label in _SHOWN.items() if about.get(name) not in {None, "", 0}]
    notes = [*([_LINKS[step.link]] if step.link else []), *shown, *([span.error] if span.error else [])]
    return {
        "step": f"{'  ' * step.depth}{span.name}",
        "process": span.service,
        "started": span.start[:23] + "Z",
        "seconds": span.seconds,
        "about": ", ".join(notes),
        "trace": span.trace_id[:8],
    }
