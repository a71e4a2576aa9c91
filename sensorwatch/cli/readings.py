"""Commands ``sensorwatch simulate`` and ``replay``: send simulated or recorded readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sensorwatch.cli.context import TIME_FORMATS, CommandContext, JsonOption, print_json
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sensorwatch.app import Product
    from sensorwatch.ingestion.records import Reading
    from sensorwatch.simulation.self_labelled import SelfLabelledFleet

__all__ = ["register"]

_Signal: TypeAlias = Literal["machines", "processors"]
_SpeedOption = Annotated[
    float | None,
    typer.Option(help="Speed relative to real time, by the times of the readings; default: as fast as possible."),
]
_PerEventOption = Annotated[
    int, typer.Option(min=1, help="Number of readings of a device in one event, as a JSON array; more is faster.")
]


def register(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (simulate, replay):
        app.command()(command)


def simulate(
    context: typer.Context,
    signal: Annotated[
        _Signal,
        typer.Option(help="Simulated signals: machines, or the load of processors, which contains labelled anomalies."),
    ] = "machines",
    signal_file: Annotated[
        Path | None,
        typer.Option(help="YAML file that composes a signal for each tag from noise, steps, ramps, pulses and sines."),
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="Number of devices.")] = 3,
    tags: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of tags of each device; default: 5. Processors have 1; a signal file defines its own."
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the simulated time in minutes.")] = 60,
    ago: Annotated[float, typer.Option(min=0, help="End of the simulated time, in minutes before now.")] = 0,
    end: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="End of the simulated time in UTC, instead of --ago.")
    ] = None,
    interval_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Seconds between two readings of a sensor; default: 1, for processors the length of a window.",
        ),
    ] = None,
    anomalies: Annotated[int, typer.Option(min=0, help="Number of anomalies of each kind to inject.")] = 0,
    truth: Annotated[Path, typer.Option(help="NDJSON file to write the injected anomalies to.")] = Path(
        "ground-truth.ndjson"
    ),
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 1,
    speed: _SpeedOption = None,
    readings_per_event: _PerEventOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Send readings of a simulated fleet, optionally with labelled anomalies."""
    from sensorwatch.simulation.anomalies import plan_anomalies
    from sensorwatch.simulation.composed import ComposedFleet
    from sensorwatch.simulation.cpu import CpuFleet
    from sensorwatch.simulation.fleet import DEFAULT_TAGS, Fleet, device_names, tag_names
    from sensorwatch.simulation.ground_truth import write_ground_truth
    from sensorwatch.simulation.signal_files import read_signals

    product = context.ensure_object(CommandContext).product
    until = end.replace(tzinfo=UTC) if end else product.clock() - timedelta(minutes=ago)
    start = until - timedelta(minutes=minutes)
    labelled: SelfLabelledFleet | None = None
    if signal_file is not None:
        for option, given in (("--signal processors", signal == "processors"), (f"--tags {tags}", tags is not None)):
            if given:
                raise InvalidInputError(
                    f"{option}: {signal_file} defines the tags and their signals; remove this option"
                )
        interval = interval_seconds or 1.0
        labelled = ComposedFleet(device_names(devices), read_signals(signal_file, start), interval, seed)
    elif signal == "processors":
        # With one reading in each window, labels of readings are labels of windows.
        interval = interval_seconds or product.settings.window_seconds
        labelled = CpuFleet(devices, interval, seed)
    if labelled is not None:
        if anomalies:
            raise InvalidInputError(
                f"--anomalies {anomalies}: only signals of machines can have injected anomalies; remove this option"
            )
        sensors, injected = labelled.sensors, labelled.labels(start, until)
        readings = labelled.readings(start, until)
    else:
        interval = interval_seconds or 1.0
        fleet = Fleet(device_names(devices), tag_names(tags or len(DEFAULT_TAGS)), interval, seed)
        sensors = fleet.sensors
        injected = plan_anomalies(sensors, start, until, per_kind=anomalies, seed=seed)
        readings = fleet.readings(start, until, injected)
    if injected:
        write_ground_truth(truth, injected)
    total = int(len(sensors) * minutes * 60 / interval)
    sent = _send(product, readings, total, speed, readings_per_event)
    if as_json:
        print_json({"sent": sent, "sensors": len(sensors), "start": start, "end": until, "anomalies": len(injected)})
    else:
        typer.echo(f"sent {sent} readings of {len(sensors)} sensors")
        if injected:
            typer.echo(f"injected {len(injected)} anomalies, listed in {truth}")


def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV file with columns TS, Device, Tag and Value.")],
    speed: _SpeedOption = None,
    after: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="Only readings after this time of the file, in UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="Only readings up to this time of the file, in UTC.")
    ] = None,
    shift_to_now: Annotated[bool, typer.Option(help="Shift the times so that the last reading is now.")] = False,
    readings_per_event: _PerEventOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Send the readings of a CSV file, ordered by time."""
    from sensorwatch.simulation.recorded import read_recording

    product = context.ensure_object(CommandContext).product
    recording = read_recording(file).between(after and after.replace(tzinfo=UTC), until and until.replace(tzinfo=UTC))
    if shift_to_now:
        recording = recording.shifted_to(product.clock())
    sent = _send(product, recording.readings, len(recording.readings), speed, readings_per_event)
    if as_json:
        print_json({"sent": sent, "skipped": [row._asdict() for row in recording.skipped]})
        return
    typer.echo(f"sent {sent} readings")
    for row in recording.skipped:
        typer.echo(f"skipped line {row.line}: {row.reason}: {row.detail}", err=True)


def _send(
    product: Product, readings: Iterable[Reading], total: int, speed: float | None, readings_per_event: int
) -> int:
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress, product.sender() as sender:
        bar = progress.add_task("sending", total=total)
        return sender.send(
            readings,
            readings_per_event=readings_per_event,
            speed=speed,
            progress=lambda sent: progress.update(bar, completed=sent),
        )
