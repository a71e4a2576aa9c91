"""``sensorwatch sensors``: the sensors with their states."""

from __future__ import annotations

from typing import Annotated

import typer

from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.records import SensorState  # noqa: TC001 - the command line reads its annotations as it runs
from sensorwatch.sensor_states import SensorQuery

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sensors)


def sensors(
    context: typer.Context,
    state: Annotated[SensorState | None, typer.Option(help="Only those in this state.")] = None,
    device: Annotated[str | None, typer.Option(help="Only those of this device.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    after: Annotated[int | None, typer.Option(help="Only ids above this one: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, by id.")] = 100,
    counts: Annotated[bool, typer.Option("--counts", help="Only how many there are in each state.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the sensors with their state."""
    wiring = context.ensure_object(CommandContext).wiring
    query = SensorQuery(state, device, tag, after)
    if counts:
        found = wiring.store.count_states(query, wiring.freshness)
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
        for sensor in wiring.store.find_sensors(query, wiring.freshness, limit=limit)
    ]
    if as_json:
        print_json(rows)
        return
    nothing = "No sensor was seen yet; `sensorwatch simulate` sends readings."
    print_table("Sensors", rows, empty=nothing if query == SensorQuery() else "No such sensor.")
    if len(rows) == limit:
        typer.echo(f"There may be more: --after {rows[-1]['sensor_id']}, or a higher --limit.")
