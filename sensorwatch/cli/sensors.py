"""Command ``sensorwatch sensors``: catalogue of sensors with their states."""

from __future__ import annotations

from typing import Annotated

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.sensors.records import SensorState
from sensorwatch.sensors.states import SensorQuery

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(sensors)


def sensors(
    context: typer.Context,
    state: Annotated[SensorState | None, typer.Option(help="Only sensors in this state.")] = None,
    device: Annotated[str | None, typer.Option(help="Only sensors of this device.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only sensors with this tag.")] = None,
    after: Annotated[int | None, typer.Option(help="Only sensors with a higher id, for the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of sensors, ordered by id.")] = 100,
    counts: Annotated[bool, typer.Option("--counts", help="Only show the number of sensors by state.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List sensors with their states."""
    product = context.ensure_object(CommandContext).product
    query = SensorQuery(state, device, tag, after)
    if counts:
        found = product.store.count_states(query, product.freshness)
        if as_json:
            print_json(found)
        else:
            states: list[dict[str, object]] = [{"state": name, "sensors": number} for name, number in found.items()]
            print_table("Sensors by state", states, empty="")
        return
    rows: list[dict[str, object]] = [
        {
            "sensor_id": sensor.sensor_id,
            "device": sensor.key.device,
            "tag": sensor.key.tag,
            "state": sensor.state,
            "reason": sensor.reason,
            "last_window": sensor.last_window,
            "trained_until": sensor.trained_until,
            "model_version": sensor.model_version,
        }
        for sensor in product.store.find_sensors(query, product.freshness, limit=limit)
    ]
    if as_json:
        print_json(rows)
        return
    nothing = "No sensors yet; run `sensorwatch simulate` to send readings."
    print_table("Sensors", rows, empty=nothing if query == SensorQuery() else "No matching sensors.")
    if len(rows) == limit:
        typer.echo(f"There may be more: add --after {rows[-1]['sensor_id']}, or use a higher --limit.")
