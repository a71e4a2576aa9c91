"""Messages about alerts: one JSON shape for all sinks, and its text for people.

Members are added but never removed or changed, so receivers should ignore unknown ones.
``docs/reference/alert-message.md`` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sensorwatch.alerts.records import Incident, Notification
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["AlertMessage", "alert_message", "alert_payload", "facts", "headline", "subject_of", "trial_message"]

_PRINTED_LENGTH = 400


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """A notification in the form that sinks deliver.

    Attributes
    ----------
    key
        Idempotency key: the same in every delivery of this message.
    subject
        Id of the alert or incident. Messages with the same subject reach a sink in order.
    time
        End of the window that caused the event (UTC).
    payload
        JSON-ready members, as :func:`alert_payload` returns them.
    traceparent
        Trace of the delivery, for receivers that continue it; None without tracing.
    """

    key: str
    subject: str
    time: datetime
    payload: Mapping[str, Any]
    traceparent: str | None = None


def alert_message(
    notification: Notification, sensor: SensorStatus | None, dashboard_url: str | None = None
) -> AlertMessage:
    """Return the message for a notification.

    Parameters
    ----------
    notification, sensor, dashboard_url
        As for :func:`alert_payload`.
    """
    payload = alert_payload(notification, sensor, dashboard_url)
    time = datetime.fromtimestamp(_happened(notification), UTC)
    return AlertMessage(notification.key, subject_of(notification), time, payload)


def subject_of(notification: Notification) -> str:
    """Return the id of the notification's incident, or of its alert if it has none."""
    return notification.alert.alert_id if notification.incident is None else notification.incident.incident_id


def _happened(notification: Notification) -> int:
    alert, incident = notification.alert, notification.incident
    opened, ended = (
        (alert.opened_end, alert.cleared_end) if incident is None else (incident.first_end, incident.closed_end)
    )
    return ended if notification.event == "cleared" and ended is not None else opened


def alert_payload(
    notification: Notification,
    sensor: SensorStatus | None,
    dashboard_url: str | None = None,
) -> dict[str, Any]:
    """Return the JSON members of a notification, in the order in which people read them.

    Parameters
    ----------
    notification
        The event, with the alert at that time.
    sensor
        Sensor of the alert; None if the catalogue does not have it.
    dashboard_url
        Address of the dashboard; None: the message has no link.
    """
    alert = notification.alert
    place = "alerts" if notification.incident is None else "incidents"
    link = (
        None
        if dashboard_url is None
        else f"{dashboard_url.rstrip('/')}/{place}/{quote(subject_of(notification), safe='')}"
    )
    return {
        "key": notification.key,
        "event": notification.event,
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "severity": alert.severity,
        "score": alert.peak_score,
        "value": alert.peak_value,
        "expected_low": alert.expected_low,
        "expected_high": alert.expected_high,
        "explanation": alert.explanation or None,
        "anomalies": alert.anomalies,
        "opened_at": _iso(alert.opened_end),
        "last_anomaly_at": _iso(alert.last_anomaly_end),
        "cleared_at": _iso(alert.cleared_end),
        "sensor": {
            "id": alert.sensor_id,
            "device": None if sensor is None else sensor.key.device,
            "tag": None if sensor is None else sensor.key.tag,
        },
        "model": {
            "version": alert.model_version or None,
            "trained_from": _iso(alert.training_start),
            "trained_until": _iso(alert.training_end),
        },
        "incident": None if notification.incident is None else _incident(notification.incident),
        "link": link,
    }


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.incident_id,
        "group": incident.group,
        "alerts": incident.alerts,
        "severity": incident.severity,
        "score": incident.peak_score,
        "first_opened_at": _iso(incident.first_end),
        "last_opened_at": _iso(incident.last_end),
        "closed_at": _iso(incident.closed_end),
        "top_alert_ids": [alert.alert_id for alert in incident.top],
    }


def trial_message(sink: str, now: datetime, dashboard_url: str | None = None) -> AlertMessage:
    """Return a test message. It has the shape of an alert's message, but its event is ``test``.

    Parameters
    ----------
    sink
        Name of the sink, which becomes part of the key.
    now
        Current time (UTC).
    dashboard_url
        Address of the dashboard; None: the message has no link.
    """
    end = _iso(int(now.timestamp()))
    key = f"test-{sink}-{now:%Y%m%dT%H%M%S.%fZ}"
    payload = {
        "key": key,
        "event": "test",
        "alert_id": "test",
        "kind": "test",
        "severity": "low",
        "score": 0.0,
        "value": None,
        "expected_low": None,
        "expected_high": None,
        "explanation": None,
        "anomalies": 0,
        "opened_at": end,
        "last_anomaly_at": end,
        "cleared_at": None,
        "sensor": {"id": None, "device": "sensorwatch", "tag": "test"},
        "model": {"version": None, "trained_from": None, "trained_until": None},
        "incident": None,
        "link": dashboard_url,
    }
    return AlertMessage(key, "test", now, payload)


def headline(payload: Mapping[str, Any]) -> str:
    """Return a headline of one line.

    Examples
    --------
    >>> sensor = {"id": 0, "device": "press-1", "tag": "flow"}
    >>> headline({"event": "opened", "kind": "anomaly", "severity": "high", "sensor": sensor, "incident": None})
    'Alert opened: high on press-1 / flow'
    """
    if payload["event"] == "test":
        return "Test message of Sensorwatch: no alert"
    if (incident := payload["incident"]) is not None:
        what = f"{incident['severity']}, {incident['alerts']} alerts on {incident['group']}"
        return _plain(f"Incident {payload['event']}: {what}")
    kind = "" if payload["kind"] == "anomaly" else f"{payload['kind']}, "
    return _plain(f"Alert {payload['event']}: {kind}{payload['severity']} on {_sensor(payload['sensor'])}")


def facts(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the labels and values that people read.

    Values may contain text from devices, so the caller must escape them.
    """
    found = [
        ("Sensor", _sensor(payload["sensor"])),
        ("Severity", f"{payload['severity']} (score {payload['score']:.0f} of 100)"),
        ("Opened", payload["opened_at"]),
        ("Last anomaly", payload["last_anomaly_at"]),
    ]
    if payload["cleared_at"] is not None:
        found.append(("Cleared", payload["cleared_at"]))
    found.append(("Anomalous windows", str(payload["anomalies"])))
    if payload["value"] is not None:
        found.append(("Value", f"{payload['value']:g}"))
    if payload["expected_low"] is not None or payload["expected_high"] is not None:
        found.append(("Expected", _range(payload["expected_low"], payload["expected_high"])))
    if payload.get("explanation"):
        found.append(("Why", payload["explanation"]))
    if (incident := payload["incident"]) is not None:
        group = f"{incident['alerts']} alerts on {incident['group']}; this one has the highest score"
        found.insert(0, ("Incident", group))
    return [(label, _plain(value)) for label, value in found]


def _sensor(sensor: Mapping[str, Any]) -> str:
    return f"sensor {sensor['id']}" if sensor["device"] is None else f"{sensor['device']} / {sensor['tag']}"


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _plain(text: str) -> str:
    """Return the text in one line without control characters, which are unsafe in headers and logs."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_PRINTED_LENGTH]


def _iso(end: int | None) -> str | None:
    return None if end is None else datetime.fromtimestamp(end, UTC).isoformat().replace("+00:00", "Z")
