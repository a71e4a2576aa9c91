"""Commands ``sensorwatch alerts``, ``incidents`` and ``labels export``."""

from __future__ import annotations

import csv
import getpass
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from sensorwatch.alerts.records import AlertAction, AlertCondition, AlertFilter, AlertKind, Silence, Verdict
from sensorwatch.cli.context import TIME_FORMATS, CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.cli.labels import labels_app
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sensorwatch.alerts.records import ActionName, Alert, HandledAlert, Incident, Label
    from sensorwatch.app import Product
    from sensorwatch.sensors.records import SensorKey

__all__ = ["register"]

_Id: TypeAlias = Annotated[str, typer.Argument(metavar="ALERT", help="Alert id.")]
_By: TypeAlias = Annotated[
    str | None, typer.Option("--by", help="Name of the person; default: the user of this machine.")
]
_Text: TypeAlias = Annotated[str, typer.Option("--note", help="Comment for the history of the alert.")]
_Kind: TypeAlias = Annotated[AlertKind | None, typer.Option(help="Only alerts of this kind.")]
_Limit: TypeAlias = Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")]

_alerts = typer.Typer(help="List, show and handle alerts.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_alerts, name="alerts")
    app.command()(incidents)
    app.add_typer(labels_app, name="labels")


# ---- showing ---------------------------------------------------------------------------------------------------------


@_alerts.callback()
def list_alerts(
    context: typer.Context,
    open_only: Annotated[bool, typer.Option("--open", help="Only unresolved alerts.")] = False,
    state: Annotated[AlertCondition | None, typer.Option(help="Only alerts in this state.")] = None,
    kind: _Kind = None,
    severity: Annotated[str | None, typer.Option(help="Only alerts of this severity.")] = None,
    sensor_id: Annotated[int | None, typer.Option(help="Only alerts of the sensor with this id.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only alerts of this incident.")] = None,
    feedback: Annotated[Verdict | None, typer.Option(help="Only alerts with this verdict.")] = None,
    limit: _Limit = 50,
    as_json: JsonOption = False,
) -> None:
    """List, show and handle alerts; without a subcommand, list them."""
    if context.invoked_subcommand is not None:
        return
    product = _product(context)
    wanted = AlertFilter(
        condition=state,
        sensor_id=sensor_id,
        kind=kind,
        severity=severity,
        incident_id=incident,
        feedback=feedback,
        unresolved=open_only,
    )
    found = product.store.handled_alerts(wanted, limit)
    names = _names(product, (handled.alert for handled in found))
    rows = [_row(handled, names[handled.alert.sensor_id], product.clock()) for handled in found]
    if as_json:
        print_json(rows)
    else:
        print_table("Alerts", rows, empty="No open alerts." if open_only else "No alerts.")


@_alerts.command()
def show(context: typer.Context, alert_id: _Id, as_json: JsonOption = False) -> None:
    """Show an alert with its expected range, model and history."""
    product = _product(context)
    _show(product, product.store.alert(alert_id), as_json=as_json)


def _show(product: Product, handled: HandledAlert, *, as_json: bool) -> None:
    alert, handling = handled.alert, handled.handling
    names = _names(product, [alert])
    about: dict[str, Any] = {
        **_row(handled, names[alert.sensor_id], product.clock()),
        "peak_value": alert.peak_value,
        "expected_low": alert.expected_low,
        "expected_high": alert.expected_high,
        "explanation": alert.explanation or None,
        "model_version": alert.model_version,
        "training_start": _time(alert.training_start),
        "training_end": _time(alert.training_end),
        "acknowledged_at": handling.acknowledged_at,
        "silenced_until": handling.silenced_until,
        "silenced_by": handling.silenced_by,
        "silenced_why": handling.silenced_why,
        "resolved_by": handling.resolved_by,
        "feedback_by": handling.feedback_by,
        "feedback_at": handling.feedback_at,
    }
    history = [
        {"at": entry.at, "actor": entry.actor, "action": entry.action, "detail": entry.detail}
        for entry in product.store.alert_history(alert.alert_id)
    ]
    if as_json:
        print_json({**about, "history": history})
        return
    print_table(f"Alert {alert.alert_id}", [{"what": key, "value": value} for key, value in about.items()], empty="")
    print_table("History", history, empty="No history.")


def incidents(
    context: typer.Context,
    open_only: Annotated[bool, typer.Option("--open", help="Only open incidents.")] = False,
    limit: _Limit = 50,
    as_json: JsonOption = False,
) -> None:
    """List incidents: alerts of one device or site that opened at about the same time."""
    product = _product(context)
    found = product.store.incidents(open_only=open_only, limit=limit)
    names = _names(product, (alert for incident in found for alert in incident.top))
    rows = [_incident_row(incident) for incident in found]
    if not as_json:
        print_table("Incidents", rows, empty="No open incidents." if open_only else "No incidents.")
        return
    tops = (
        [
            {"alert_id": alert.alert_id, **names[alert.sensor_id]._asdict(), "peak_score": alert.peak_score}
            for alert in incident.top
        ]
        for incident in found
    )
    print_json([{**row, "top": top} for row, top in zip(rows, tops, strict=True)])


# ---- actions ---------------------------------------------------------------------------------------------------------


@_alerts.command()
def ack(
    context: typer.Context,
    alert_id: _Id,
    undo: Annotated[bool, typer.Option("--undo", help="Withdraw the acknowledgement.")] = False,
    by: _By = None,
    note: _Text = "",
    as_json: JsonOption = False,
) -> None:
    """Acknowledge an alert: mark it as being looked after."""
    _act(context, alert_id, "unacknowledge" if undo else "acknowledge", by, note, as_json=as_json)


@_alerts.command()
def resolve(
    context: typer.Context, alert_id: _Id, by: _By = None, note: _Text = "", as_json: JsonOption = False
) -> None:
    """Resolve an alert before its quiet period is over."""
    _act(context, alert_id, "resolve", by, note, as_json=as_json)


@_alerts.command()
def comment(
    context: typer.Context,
    alert_id: _Id,
    text: Annotated[str, typer.Argument(help="Text of the comment.")],
    by: _By = None,
    as_json: JsonOption = False,
) -> None:
    """Add a comment to the history of an alert."""
    _act(context, alert_id, "comment", by, text, as_json=as_json)


@_alerts.command()
def feedback(
    context: typer.Context,
    alert_id: _Id,
    verdict: Annotated[Verdict, typer.Argument(help="Verdict on the alert.")],
    by: _By = None,
    note: _Text = "",
    as_json: JsonOption = False,
) -> None:
    """Record a verdict on an alert. If it was no fault, similar windows raise no alert from the next scoring on."""
    product = _product(context)
    action = AlertAction("feedback", _actor(by), note, verdict=verdict)
    _show(product, product.store.act(alert_id, action), as_json=as_json)


@_alerts.command()
def silence(
    context: typer.Context,
    alert_id: Annotated[
        str | None, typer.Argument(metavar="[ALERT]", help="Alert id; or else give --device or --tag.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Pattern of devices to mute, with or without an alert.")] = None,
    tag: Annotated[str | None, typer.Option(help="Pattern of tags to mute, with or without an alert.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=TIME_FORMATS, help="End of muting, in UTC.")] = None,
    hours: Annotated[float | None, typer.Option(min=0.01, help="Duration in hours, instead of --until.")] = None,
    why: Annotated[str, typer.Option(help="Reason for muting.")] = "",
    by: _By = None,
    as_json: JsonOption = False,
) -> None:
    """Mute an alert and its sensor, or all matching sensors: no notifications are sent until a given time."""
    product = _product(context)
    now = product.clock()
    if (until is None) == (hours is None):
        raise InvalidInputError("silence: expected either --until or --hours, got both or none")
    end = until.replace(tzinfo=UTC) if until else now + timedelta(hours=hours or 0)
    if (alert_id is None) == (device is None and tag is None):
        raise InvalidInputError("silence: expected either an alert id, or --device or --tag, got both or none")
    if alert_id is not None:
        action = AlertAction("silence", _actor(by), why, until=end)
        _show(product, product.store.act(alert_id, action), as_json=as_json)
        return
    if end <= now:
        raise InvalidInputError(f"silence: expected a time after now ({now.isoformat()}), got `{end.isoformat()}`")
    made = _silence(device or "*", tag or "*", end, _actor(by), now, why)
    product.store.add_silence(made)
    _print_silences([made], as_json=as_json)


@_alerts.command()
def unsilence(
    context: typer.Context,
    which: Annotated[
        str, typer.Argument(metavar="ID", help="Alert id, or id of a muting from `sensorwatch alerts silences`.")
    ],
    by: _By = None,
    as_json: JsonOption = False,
) -> None:
    """Unmute an alert or sensors before the end of muting."""
    product = _product(context)
    if which in {each.silence_id for each in product.store.silences(active_only=False)}:
        product.store.end_silence(which, _actor(by))
        _print_silences(product.store.silences(), as_json=as_json)
    else:
        _act(context, which, "unsilence", by, "", as_json=as_json)


@_alerts.command()
def silences(
    context: typer.Context,
    ended: Annotated[bool, typer.Option("--all", help="Include those that have ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what is muted."""
    _print_silences(_product(context).store.silences(active_only=not ended), as_json=as_json)


# ---- labels ----------------------------------------------------------------------------------------------------------


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
    rows = [_label_row(label) for label in _product(context).store.labels()]
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
            writer.writerows(rows)
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


# ---- shared parts ----------------------------------------------------------------------------------------------------


def _product(context: typer.Context) -> Product:
    return context.ensure_object(CommandContext).product


def _act(context: typer.Context, alert_id: str, name: ActionName, by: str | None, text: str, *, as_json: bool) -> None:
    product = _product(context)
    _show(product, product.store.act(alert_id, AlertAction(name, _actor(by), text)), as_json=as_json)


def _actor(by: str | None) -> str:
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise InvalidInputError("the name of the current user is unknown; give your name with --by") from None


def _silence(device: str, tag: str, until: datetime, by: str, now: datetime, why: str) -> Silence:
    digest = hashlib.sha256(json.dumps([device, tag, until.isoformat(), by, why]).encode()).hexdigest()
    return Silence(f"silence-{digest[:12]}", device, tag, until, by, now, why)


def _print_silences(found: Iterable[Silence], *, as_json: bool) -> None:
    rows = [
        {
            "silence_id": each.silence_id,
            "device": each.device,
            "tag": each.tag,
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


def _names(product: Product, found: Iterable[Alert]) -> dict[int, SensorKey]:
    sensors = product.store.sensors_by_id({alert.sensor_id for alert in found})
    return {sensor_id: status.key for sensor_id, status in sensors.items()}


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else utc_text(seconds)


def _row(handled: HandledAlert, key: SensorKey, now: datetime) -> dict[str, Any]:
    alert = handled.alert
    return {
        "alert_id": alert.alert_id,
        **key._asdict(),
        "kind": alert.kind,
        "state": handled.condition(now),
        "opened": utc_text(alert.opened_end),
        "last_anomaly": utc_text(alert.last_anomaly_end),
        "cleared": _time(alert.cleared_end),
        "anomalies": alert.anomalies,
        "peak_score": alert.peak_score,
        "severity": alert.severity,
        "acknowledged_by": handled.handling.acknowledged_by,
        "feedback": handled.handling.feedback,
        "incident": handled.incident_id,
    }


def _incident_row(incident: Incident) -> dict[str, Any]:
    return {
        "incident_id": incident.incident_id,
        "group": incident.group,
        "opened": utc_text(incident.first_end),
        "last_alert": utc_text(incident.last_end),
        "closed": _time(incident.closed_end),
        "alerts": incident.alerts,
        "peak_score": incident.peak_score,
        "severity": incident.severity,
    }
