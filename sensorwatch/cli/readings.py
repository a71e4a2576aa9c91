"""Commands ``sensorwatch simulate`` and ``replay``: send simulated or recorded readings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sensorwatch.cli.context import CommandContext, JsonOption, print_json
from sensorwatch.cli.times import parse_moment
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sensorwatch.app import Product
    from sensorwatch.ingestion.arrival import Rejection
    from sensorwatch.ingestion.records import IngestCounts, Reading
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

_WaitOption = Annotated[
    bool | None,
    typer.Option(
        "--wait/--no-wait",
        help="Wait until all sent readings are ingested, and count them; default: only if the event hub is on this "
        "machine.",
        show_default=False,
    ),
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
        datetime | None,
        typer.Option(
            parser=parse_moment,
            metavar="TIME",
            help="End of the simulated time in UTC, instead of --ago.",
        ),
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
    wait: _WaitOption = None,
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
    until = end or product.clock() - timedelta(minutes=ago)
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
    delivery = _send(product, readings, total, _Pace(speed, readings_per_event), wait=wait)
    if as_json:
        about = {"sensors": len(sensors), "start": start, "end": until, "anomalies": len(injected)}
        print_json(delivery.as_json() | about)
    else:
        typer.echo(f"sent {delivery.sent} readings of {len(sensors)} sensors{delivery.outcome()}")
        if injected:
            typer.echo(f"injected {len(injected)} anomalies, listed in {truth}")
        delivery.print_rejected()


def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV file with columns TS, Device, Tag and Value.")],
    speed: _SpeedOption = None,
    after: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_moment,
            metavar="TIME",
            help="Only readings after this time of the file, in UTC.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_moment,
            metavar="TIME",
            help="Only readings up to this time of the file, in UTC.",
        ),
    ] = None,
    shift_to_now: Annotated[bool, typer.Option(help="Shift the times so that the last reading is now.")] = False,
    readings_per_event: _PerEventOption = 1,
    wait: _WaitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send the readings of a CSV file, ordered by time."""
    from sensorwatch.simulation.recorded import read_recording

    product = context.ensure_object(CommandContext).product
    recording = read_recording(file).between(after, until)
    if shift_to_now:
        recording = recording.shifted_to(product.clock())
    delivery = _send(product, recording.readings, len(recording.readings), _Pace(speed, readings_per_event), wait=wait)
    if as_json:
        print_json(delivery.as_json() | {"skipped": [row._asdict() for row in recording.skipped]})
        return
    typer.echo(f"sent {delivery.sent} readings{delivery.outcome()}")
    for row in recording.skipped:
        typer.echo(f"skipped line {row.line}: {row.reason}: {row.detail}", err=True)
    delivery.print_rejected()


class _Pace(NamedTuple):
    """Speed relative to real time (None: as fast as possible), and number of readings in one event."""

    speed: float | None
    readings_per_event: int


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Number of readings sent, and what became of them; ``counts`` is None without waiting for ingestion."""

    sent: int
    counts: IngestCounts | None = None
    rejected: Sequence[Rejection] = ()

    def as_json(self) -> dict[str, object]:
        """Return the figures as JSON values."""
        counts = None if self.counts is None else self.counts._asdict()
        return {"sent": self.sent, "ingested": counts, "rejected": [each._asdict() for each in self.rejected]}

    def outcome(self) -> str:
        """Return the outcome as the end of a line: a sum that must be the number sent."""
        counts = self.counts
        if counts is None:
            return "; `sensorwatch ingest-status` shows how many of them are ingested"
        summed = (
            f"{counts.accepted} accepted + {counts.late} late + {counts.duplicate} duplicate + {counts.invalid} invalid"
        )
        if counts.received == self.sent:
            return f" = {summed}"
        return f"; ingested meanwhile, with those of other senders or deliveries: {counts.received} = {summed}"

    def print_rejected(self) -> None:
        """Print why readings were rejected, one line a reason."""
        for each in self.rejected:
            typer.echo(f"{each.readings} readings rejected: {each.reason}: {each.detail}", err=True)
        if self.rejected:
            typer.echo("`sensorwatch deadletters list` lists them.", err=True)


def _send(product: Product, readings: Iterable[Reading], total: int, pace: _Pace, *, wait: bool | None) -> _Delivery:
    """Send readings and, if asked or on a local stack, wait until they are ingested; with progress bars.

    Parameters
    ----------
    product
        Adapters of the settings.
    readings
        Readings, oldest first.
    total
        Their expected number, for the progress bar.
    pace
        Speed, and size of events.
    wait
        Whether to wait; None waits if the event hub is on this machine.
    """
    from sensorwatch.ingestion.arrival import SentEvents, ingest_counts, rejections, wait_until_ingested

    settings = product.settings
    source = settings.event_hub_name, settings.event_hub_consumer_group
    waits = settings.event_hub_is_local if wait is None else wait
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress, product.sender() as sender:
        begun, counts = product.clock(), ingest_counts(product.store, *source) if waits else None
        before = sender.last_events() if waits else {}
        sending = progress.add_task("sending", total=total)
        sent = sender.send(
            readings,
            readings_per_event=pace.readings_per_event,
            speed=pace.speed,
            progress=lambda done: progress.update(sending, completed=done),
        )
        progress.update(sending, completed=sent, total=sent)
        if counts is None:
            return _Delivery(sent)
        events = SentEvents(*source, begun, counts, before, sender.last_events())
        ingesting = progress.add_task("ingesting", total=sent)
        ingested = wait_until_ingested(
            events, product.store, progress=lambda done: progress.update(ingesting, completed=min(done, sent))
        )
        progress.update(ingesting, completed=sent)
    rejected = rejections(events, product.dead_letters) if ingested.late or ingested.invalid else []
    return _Delivery(sent, ingested, rejected)
