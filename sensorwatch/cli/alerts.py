"""Commands ``sensorwatch alerts`` and ``incidents``."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from sensorwatch.alerts.handling import AlertAction, AlertCondition, AlertFilter, Verdict
from sensorwatch.alerts.records import AlertKind
from sensorwatch.cli.context import CommandContext, JsonOption, print_json, print_table, utc_text
from sensorwatch.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sensorwatch.alerts.handling import ActionName, HandledAlert
    from sensorwatch.alerts.records import Alert, Incident
    from sensorwatch.app import Product
    from sensorwatch.sensors.records import SensorKey

__all__ = ["ByOption", "act", "actor", "alerts_app", "register", "show_alert"]

_Id: TypeAlias = Annotated[str, typer.Argument(metavar="ALERT", help="Alert id.")]
ByOption: TypeAlias = Annotated[
    str | None, typer.Option("--by", help="Name of the person; default: the user of this machine.")
]
_Text: TypeAlias = Annotated[str, typer.Option("--note", help="Comment for the history of the alert.")]
_Kind: TypeAlias = Annotated[AlertKind | None, typer.Option(help="Only alerts of this kind.")]
_Limit: TypeAlias = Annotated[int, typer.Option(min=1, help="Maximum number, newest first.")]

alerts_app = typer.Typer(help="List, show and handle alerts.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(alerts_app, name="alerts")
    app.command()(incidents)


@alerts_app.callback()
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


@alerts_app.command()
def show(context: typer.Context, alert_id: _Id, as_json: JsonOption = False) -> None:
    """Show an alert with its expected range, model and history."""
    product = _product(context)
    show_alert(product, product.store.alert(alert_id), as_json=as_json)


def show_alert(product: Product, handled: HandledAlert, *, as_json: bool) -> None:
    """Print an alert with its history.

    Parameters
    ----------
    product
        Use cases.
    handled
        The alert.
    as_json
        Print JSON instead of tables.
    """
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


@alerts_app.command()
def ack(
    context: typer.Context,
    alert_id: _Id,
    undo: Annotated[bool, typer.Option("--undo", help="Withdraw the acknowledgement.")] = False,
    by: ByOption = None,
    note: _Text = "",
    as_json: JsonOption = False,
) -> None:
    """Acknowledge an alert: mark it as being looked after."""
    act(context, alert_id, "unacknowledge" if undo else "acknowledge", by, note, as_json=as_json)


@alerts_app.command()
def resolve(
    context: typer.Context, alert_id: _Id, by: ByOption = None, note: _Text = "", as_json: JsonOption = False
) -> None:
    """Resolve an alert before its quiet period is over."""
    act(context, alert_id, "resolve", by, note, as_json=as_json)


@alerts_app.command()
def comment(
    context: typer.Context,
    alert_id: _Id,
    text: Annotated[str, typer.Argument(help="Text of the comment.")],
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a comment to the history of an alert."""
    act(context, alert_id, "comment", by, text, as_json=as_json)


@alerts_app.command()
def feedback(
    context: typer.Context,
    alert_id: _Id,
    verdict: Annotated[Verdict, typer.Argument(help="Verdict on the alert.")],
    by: ByOption = None,
    note: _Text = "",
    as_json: JsonOption = False,
) -> None:
    """Record a verdict on an alert. If it was no fault, similar windows raise no alert from the next scoring on."""
    product = _product(context)
    action = AlertAction("feedback", actor(by), note, verdict=verdict)
    show_alert(product, product.store.act(alert_id, action), as_json=as_json)


def _product(context: typer.Context) -> Product:
    return context.ensure_object(CommandContext).product


def act(context: typer.Context, alert_id: str, name: ActionName, by: str | None, text: str, *, as_json: bool) -> None:
    """Perform an action on an alert, and print the alert.

    Parameters
    ----------
    context
        Context of the command.
    alert_id
        Alert id.
    name
        The action.
    by
        Name of the person; None for the user of this machine.
    text
        Comment for the history of the alert.
    as_json
        Print JSON instead of tables.
    """
    product = _product(context)
    show_alert(product, product.store.act(alert_id, AlertAction(name, actor(by), text)), as_json=as_json)


def actor(by: str | None) -> str:
    """Return the name of the person; None for the user of this machine.

    Raises
    ------
    InvalidInputError
        The name of the user is unknown.
    """
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise InvalidInputError("the name of the current user is unknown; give your name with --by") from None


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
