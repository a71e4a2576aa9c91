"""Rows of alerts, anomalies, incidents, notifications, silences and tolerances, as records and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sensorwatch.alerts.handling import HandledAlert, Handling, Silence, Tolerance
from sensorwatch.alerts.records import Alert, Anomaly, Incident, Notification
from sensorwatch.detectors.explanation import explanation_json, parse_explanation
from sensorwatch.store.row_map import RowMap
from sensorwatch.telemetry import current_traceparent

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sensorwatch.alerts.records import AlertState

__all__ = [
    "alert_of",
    "alert_row",
    "anomaly_of",
    "anomaly_row",
    "handled_of",
    "handling_row",
    "incident_of",
    "incident_row",
    "notification_of",
    "notification_row",
    "silence_of",
    "silence_row",
    "state_row",
    "tolerance_of",
    "tolerance_row",
]

_ALERT = msgspec.json.Decoder(Alert)
_INCIDENT = msgspec.json.Decoder(Incident)
_UNKNOWN_DIRECTION = "any"


class _Origin(msgspec.Struct):
    traceparent: str | None = None


_ORIGIN = msgspec.json.Decoder(_Origin)

_ALERTS = RowMap(Alert)
_HANDLING = RowMap(Handling)
_INCIDENTS = RowMap(Incident, without=["top"], group="GroupName")
_ANOMALIES = RowMap(Anomaly, end="TS")
_SILENCES = RowMap(Silence, device="DevicePattern", tag="TagPattern", until="UntilTime")
_TOLERANCES = RowMap(Tolerance)


def alert_of(row: sa.Row[Any]) -> Alert:
    """Return the alert in a row of Alerts."""
    return _ALERTS.record(row)


def alert_row(alert: Alert) -> dict[str, object]:
    """Return the columns of Alerts that the state machine owns; those of people's actions are not among them."""
    return _ALERTS.row(alert)


def handled_of(row: sa.Row[Any]) -> HandledAlert:
    """Return the alert in a row of Alerts, with the result of people's actions."""
    return HandledAlert(alert_of(row), _HANDLING.record(row), row.IncidentId)


def handling_row(handling: Handling) -> dict[str, object]:
    """Return the columns of Alerts that people's actions own."""
    return _HANDLING.row(handling)


def state_row(state: AlertState) -> dict[str, object]:
    """Return the row of AlertStates."""
    return {
        "SensorId": state.sensor_id,
        "LastEnd": state.last_end,
        "RecentScores": msgspec.json.encode(state.recent_scores).decode(),
        "AlertId": None if state.alert is None else state.alert.alert_id,
    }


def incident_of(row: sa.Row[Any]) -> Incident:
    """Return the incident in a row of Incidents, without its alerts."""
    return _INCIDENTS.record(row)


def incident_row(incident: Incident) -> dict[str, object]:
    """Return the row of Incidents."""
    return _INCIDENTS.row(incident)


def notification_of(row: sa.Row[Any]) -> Notification:
    """Return the notification in a row of Notifications or HeldNotifications."""
    incident = None if row.Incident is None else _INCIDENT.decode(row.Incident)
    traceparent = _ORIGIN.decode(row.Alert).traceparent
    return Notification(row.NotificationKey, row.Event, _ALERT.decode(row.Alert), incident, traceparent)


def notification_row(notification: Notification) -> dict[str, object]:
    """Return the columns that Notifications and HeldNotifications share; ``TS`` is the window that caused the event.

    The JSON of the alert also has the trace: that of the notification, or the current one.
    """
    about = notification.alert
    opened, closed = about.opened_end, about.cleared_end
    if notification.incident is not None:
        opened, closed = notification.incident.first_end, notification.incident.closed_end
    described = msgspec.to_builtins(about)
    if traceparent := notification.traceparent or current_traceparent():
        described["traceparent"] = traceparent
    return {
        "NotificationKey": notification.key,
        "Event": notification.event,
        "TS": opened if notification.event == "opened" or closed is None else closed,
        "Alert": msgspec.json.encode(described).decode(),
        "Incident": None if notification.incident is None else msgspec.json.encode(notification.incident).decode(),
    }


def anomaly_of(row: sa.Row[Any]) -> Anomaly:
    """Return the anomaly in a row of Anomalies."""
    return _ANOMALIES.record(row, explanation=None if row.Explanation is None else parse_explanation(row.Explanation))


def anomaly_row(anomaly: Anomaly) -> dict[str, object]:
    """Return the row of Anomalies."""
    return _ANOMALIES.row(
        anomaly, explanation=None if anomaly.explanation is None else explanation_json(anomaly.explanation)
    )


def silence_of(row: sa.Row[Any]) -> Silence:
    """Return the silence in a row of Silences."""
    return _SILENCES.record(row)


def silence_row(silence: Silence) -> dict[str, object]:
    """Return the row of Silences."""
    return _SILENCES.row(silence)


def tolerance_of(row: sa.Row[Any]) -> Tolerance:
    """Return the tolerance in a row of Tolerances."""
    return _TOLERANCES.record(row, direction=None if row.Direction == _UNKNOWN_DIRECTION else row.Direction)


def tolerance_row(tolerance: Tolerance) -> dict[str, object]:
    """Return the row of Tolerances."""
    return _TOLERANCES.row(tolerance, direction=tolerance.direction or _UNKNOWN_DIRECTION)
