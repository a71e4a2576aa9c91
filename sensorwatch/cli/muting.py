"""Commands ``sensorwatch alerts silence``, ``unsilence`` and ``silences``: mute alerts and sensors."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.alerts.handling import AlertAction, Silence
from sensorwatch.cli.alerts import ByOption, act, actor, alerts_app, show_alert
from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table
from sensorwatch.cli.times import parse_moment
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sensorwatch.app import Product
    from sensorwatch.sensors.records import SensorKey

__all__ = ["register"]


def register() -> None:
    """Register the commands below ``sensorwatch alerts``."""
    for command in (silence, unsilence, silences):
        alerts_app.command()(command)


def silence(
    context: typer.Context,
    alert_id: Annotated[
        str | None, typer.Argument(metavar="[ALERT]", help="Alert id; or else give --device or --tag.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Pattern of devices to mute, with or without an alert.")] = None,
    tag: Annotated[str | None, typer.Option(help="Pattern of tags to mute, with or without an alert.")] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_moment,
            metavar="TIME",
            help="End of muting, in UTC.",
        ),
    ] = None,
    hours: Annotated[float | None, typer.Option(min=0.01, help="Duration in hours, instead of --until.")] = None,
    why: Annotated[str, typer.Option(help="Reason for muting.")] = "",
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mute an alert and its sensor, or all matching sensors: no notifications are sent until a given time."""
    product = _product(context)
    now = product.clock()
    if (until is None) == (hours is None):
        raise InvalidInputError("silence: expected either --until or --hours, got both or none")
    end = until or now + timedelta(hours=hours or 0)
    if (alert_id is None) == (device is None and tag is None):
        raise InvalidInputError("silence: expected either an alert id, or --device or --tag, got both or none")
    if alert_id is not None:
        action = AlertAction("silence", actor(by), why, until=end)
        show_alert(product, product.store.act(alert_id, action), as_json=as_json)
        return
    if end <= now:
        raise InvalidInputError(f"silence: expected a time after now ({now.isoformat()}), got `{end.isoformat()}`")
    muting = _muting(device or "*", tag or "*", end, actor(by), now, why)
    product.store.add_silence(muting)
    keys = _keys(product)
    _print_muted([muting], keys, as_json=as_json)
    if not any(map(muting.matches, keys)):
        typer.echo(
            f"silence: matches no sensor: device `{muting.device}`, tag `{muting.tag}`; `sensorwatch sensors` lists "
            f"all sensors, and `sensorwatch alerts unsilence {muting.silence_id}` ends this muting",
            err=True,
        )


def unsilence(
    context: typer.Context,
    which: Annotated[
        str, typer.Argument(metavar="ID", help="Alert id, or id of a muting from `sensorwatch alerts silences`.")
    ],
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Unmute an alert or sensors before the end of muting."""
    product = _product(context)
    if which in {each.silence_id for each in product.store.silences(active_only=False)}:
        product.store.end_silence(which, actor(by))
        _print_muted(product.store.silences(), _keys(product), as_json=as_json)
    else:
        act(context, which, "unsilence", by, "", as_json=as_json)


def silences(
    context: typer.Context,
    ended: Annotated[bool, typer.Option("--all", help="Include those that have ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what is muted."""
    product = _product(context)
    _print_muted(product.store.silences(active_only=not ended), _keys(product), as_json=as_json)


def _muting(device: str, tag: str, until: datetime, by: str, now: datetime, why: str) -> Silence:
    digest = hashlib.sha256(json.dumps([device, tag, until.isoformat(), by, why]).encode()).hexdigest()
    return Silence(f"silence-{digest[:12]}", device, tag, until, by, now, why)


def _keys(product: Product) -> list[SensorKey]:
    return [sensor.key for sensor in product.store.sensors()]


def _print_muted(found: Iterable[Silence], keys: Sequence[SensorKey], *, as_json: bool) -> None:
    rows = [
        {
            "silence_id": each.silence_id,
            "device": each.device,
            "tag": each.tag,
            "sensors": sum(map(each.matches, keys)),
            "until": each.until,
            "by": each.made_by,
            "made_at": each.made_at,
            "why": each.why,
            "ended_by": each.ended_by,
            "ended_at": each.ended_at,
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
    else:
        print_table("Muted sensors", rows, empty="Nothing is muted.")


def _product(context: typer.Context) -> Product:
    return context.ensure_object(CommandContext).product
