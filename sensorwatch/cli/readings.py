"""Commands that send readings: simulated ones, or recorded ones."""

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

    from sensorwatch.records import Reading
    from sensorwatch.simulation.self_labelled import SelfLabelledFleet
    from sensorwatch.wiring import Wiring

__all__ = ["register"]

_Signal: TypeAlias = Literal["machines", "processors"]
_SpeedOption = Annotated[
    float | None, typer.Option(help="Times real time, by the readings' own times; without it as fast as possible.")
]
_PerEventOption = Annotated[
    int, typer.Option(min=1, help="Readings of a device in one event, as a JSON array; more is faster.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (simulate, replay):
        app.command()(command)


def simulate(
    context: typer.Context,
    signal: Annotated[
        _Signal, typer.Option(help="What is simulated: machines, or processors whose load is labelled by itself.")
    ] = "machines",
    signal_file: Annotated[
        Path | None,
        typer.Option(help="YAML file with a signal for each tag, composed of noise, steps, ramps, pulses and sines."),
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="Number of devices.")] = 3,
    tags: Annotated[
        int | None,
        typer.Option(min=1, help="Number of tags of each device, 5 if left out; a processor has one, a file its own."),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the simulated time.")] = 60,
    ago: Annotated[float, typer.Option(min=0, help="How many minutes ago it ends.")] = 0,
    end: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="When it ends, in place of --ago; UTC.")
    ] = None,
    interval_seconds: Annotated[
        float | None,
        typer.Option(min=0.001, help="Between two readings of a sensor; 1, or for processors a window, if left out."),
    ] = None,
    anomalies: Annotated[int, typer.Option(min=0, help="How many of each kind to inject.")] = 0,
    truth: Annotated[Path, typer.Option(help="Where the injected anomalies are noted.")] = Path("ground-truth.ndjson"),
    seed: Annotated[int, typer.Option(help="Decides everything random.")] = 1,
    speed: _SpeedOption = None,
    readings_per_event: _PerEventOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Send readings of a simulated fleet, with labelled anomalies if wanted."""
    from sensorwatch.simulation.anomalies import plan_anomalies
    from sensorwatch.simulation.composed import ComposedFleet
    from sensorwatch.simulation.cpu import CpuFleet
    from sensorwatch.simulation.fleet import DEFAULT_TAGS, Fleet, device_names, tag_names
    from sensorwatch.simulation.ground_truth import write_ground_truth
    from sensorwatch.simulation.signal_files import read_signals

    wiring = context.ensure_object(CommandContext).wiring
    until = end.replace(tzinfo=UTC) if end else wiring.clock() - timedelta(minutes=ago)
    start = until - timedelta(minutes=minutes)
    labelled: SelfLabelledFleet | None = None
    if signal_file is not None:
        for option, given in (("--signal processors", signal == "processors"), (f"--tags {tags}", tags is not None)):
            if given:
                raise InvalidInputError(
                    f"{option}: the tags and their signals are those of {signal_file}; leave it out"
                )
        interval = interval_seconds or 1.0
        labelled = ComposedFleet(device_names(devices), read_signals(signal_file, start), interval, seed)
    elif signal == "processors":
        # A window is labelled as its one reading is.
        interval = interval_seconds or wiring.settings.window_seconds
        labelled = CpuFleet(devices, interval, seed)
    if labelled is not None:
        if anomalies:
            raise InvalidInputError(
                f"--anomalies {anomalies}: only the machines' signals take any, others have their own; leave it out"
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
    sent = _send(wiring, readings, total, speed, readings_per_event)
    if as_json:
        print_json({"sent": sent, "sensors": len(sensors), "start": start, "end": until, "anomalies": len(injected)})
    else:
        typer.echo(f"sent {sent} readings of {len(sensors)} sensors")
        if injected:
            typer.echo(f"injected {len(injected)} anomalies, noted in {truth}")


def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV file with TS, Device, Tag and Value.")],
    speed: _SpeedOption = None,
    after: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="Only readings after this time, as in the file; UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="Only readings up to this time, as in the file; UTC.")
    ] = None,
    shift_to_now: Annotated[bool, typer.Option(help="Move its times so that it ends now.")] = False,
    readings_per_event: _PerEventOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Send the readings of a CSV file, in the order of their times."""
    from sensorwatch.simulation.recorded import read_recording

    wiring = context.ensure_object(CommandContext).wiring
    recording = read_recording(file).between(after and after.replace(tzinfo=UTC), until and until.replace(tzinfo=UTC))
    if shift_to_now:
        recording = recording.shifted_to(wiring.clock())
    sent = _send(wiring, recording.readings, len(recording.readings), speed, readings_per_event)
    if as_json:
        print_json({"sent": sent, "skipped": [row._asdict() for row in recording.skipped]})
        return
    typer.echo(f"sent {sent} readings")
    for row in recording.skipped:
        typer.echo(f"skipped line {row.line}: {row.reason}: {row.detail}", err=True)


def _send(wiring: Wiring, readings: Iterable[Reading], total: int, speed: float | None, readings_per_event: int) -> int:
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress, wiring.sender() as sender:
        bar = progress.add_task("sending", total=total)
        return sender.send(
            readings,
            readings_per_event=readings_per_event,
            speed=speed,
            progress=lambda sent: progress.update(bar, completed=sent),
        )
