"""Alerts, anomalies, incidents and what belongs to them, between records and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sensorwatch.alerts.handling import HandledAlert, Handling, Silence, Tolerance
from sensorwatch.alerts.records import Alert, Anomaly, Incident, Notification
from sensorwatch.detectors.explanation import explanation_json, parse_explanation
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


def alert_of(row: sa.Row[Any]) -> Alert:
    """Return the alert in a row of Alerts."""
    return Alert(
        alert_id=row.AlertId,
        sensor_id=row.SensorId,
        opened_end=row.OpenedEnd,
        last_anomaly_end=row.LastAnomalyEnd,
        cleared_end=row.ClearedEnd,
        anomalies=row.Anomalies,
        peak_score=row.PeakScore,
        severity=row.Severity,
        kind=row.Kind,
        peak_value=row.PeakValue,
        expected_low=row.ExpectedLow,
        expected_high=row.ExpectedHigh,
        model_version=row.ModelVersion,
        training_start=row.TrainingStart,
        training_end=row.TrainingEnd,
        explanation=row.Explanation,
    )


def alert_row(alert: Alert) -> dict[str, object]:
    """Return the columns that the state machine owns; what people did is in others, which it never writes."""
    return {
        "AlertId": alert.alert_id,
        "SensorId": alert.sensor_id,
        "OpenedEnd": alert.opened_end,
        "LastAnomalyEnd": alert.last_anomaly_end,
        "ClearedEnd": alert.cleared_end,
        "Anomalies": alert.anomalies,
        "PeakScore": alert.peak_score,
        "Severity": alert.severity,
        "Kind": alert.kind,
        "PeakValue": alert.peak_value,
        "ExpectedLow": alert.expected_low,
        "ExpectedHigh": alert.expected_high,
        "ModelVersion": alert.model_version,
        "TrainingStart": alert.training_start,
        "TrainingEnd": alert.training_end,
        "Explanation": alert.explanation,
    }


def handled_of(row: sa.Row[Any]) -> HandledAlert:
    """Return the alert in a row of Alerts with what people did."""
    handling = Handling(
        acknowledged_by=row.AcknowledgedBy,
        acknowledged_at=row.AcknowledgedAt,
        silence_id=row.SilenceId,
        silenced_until=row.SilencedUntil,
        silenced_by=row.SilencedBy,
        silenced_why=row.SilencedWhy,
        resolved_by=row.ResolvedBy,
        feedback=row.Feedback,
        feedback_by=row.FeedbackBy,
        feedback_at=row.FeedbackAt,
    )
    return HandledAlert(alert_of(row), handling, row.IncidentId)


def handling_row(handling: Handling) -> dict[str, object]:
    """Return the columns that people's actions own."""
    return {
        "AcknowledgedBy": handling.acknowledged_by,
        "AcknowledgedAt": handling.acknowledged_at,
        "SilenceId": handling.silence_id,
        "SilencedUntil": handling.silenced_until,
        "SilencedBy": handling.silenced_by,
        "SilencedWhy": handling.silenced_why,
        "ResolvedBy": handling.resolved_by,
        "Feedback": handling.feedback,
        "FeedbackBy": handling.feedback_by,
        "FeedbackAt": handling.feedback_at,
    }


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
    return Incident(
        incident_id=row.IncidentId,
        group=row.GroupName,
        first_end=row.FirstEnd,
        last_end=row.LastEnd,
        closed_end=row.ClosedEnd,
        alerts=row.Alerts,
        peak_score=row.PeakScore,
        severity=row.Severity,
    )


def incident_row(incident: Incident) -> dict[str, object]:
    """Return the row of Incidents."""
    return {
        "IncidentId": incident.incident_id,
        "GroupName": incident.group,
        "FirstEnd": incident.first_end,
        "LastEnd": incident.last_end,
        "ClosedEnd": incident.closed_end,
        "Alerts": incident.alerts,
        "PeakScore": incident.peak_score,
        "Severity": incident.severity,
    }


def notification_of(row: sa.Row[Any]) -> Notification:
    """Return the notification in a row of Notifications or HeldNotifications."""
    incident = None if row.Incident is None else _INCIDENT.decode(row.Incident)
    traceparent = _ORIGIN.decode(row.Alert).traceparent
    return Notification(row.NotificationKey, row.Event, _ALERT.decode(row.Alert), incident, traceparent)


def notification_row(notification: Notification) -> dict[str, object]:
    """Return the columns that both tables of notifications have; TS is the window that caused it.

    The trace goes along beside the alert's own members: that of the notification, or else the current one.
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
    return Anomaly(
        sensor_id=row.SensorId,
        end=row.TS,
        value=row.Value,
        score=row.Score,
        severity=row.Severity,
        expected_low=row.ExpectedLow,
        expected_high=row.ExpectedHigh,
        model_version=row.ModelVersion,
        training_start=row.TrainingStart,
        training_end=row.TrainingEnd,
        suppressed=row.Suppressed,
        expected_value=row.ExpectedValue,
        explanation=None if row.Explanation is None else parse_explanation(row.Explanation),
    )


def anomaly_row(anomaly: Anomaly) -> dict[str, object]:
    """Return the row of Anomalies."""
    return {
        "SensorId": anomaly.sensor_id,
        "TS": anomaly.end,
        "Value": anomaly.value,
        "Score": anomaly.score,
        "Severity": anomaly.severity,
        "ExpectedLow": anomaly.expected_low,
        "ExpectedHigh": anomaly.expected_high,
        "ModelVersion": anomaly.model_version,
        "TrainingStart": anomaly.training_start,
        "TrainingEnd": anomaly.training_end,
        "Suppressed": anomaly.suppressed,
        "ExpectedValue": anomaly.expected_value,
        "Explanation": None if anomaly.explanation is None else explanation_json(anomaly.explanation),
    }


def silence_of(row: sa.Row[Any]) -> Silence:
    """Return the silence in a row of Silences."""
    return Silence(
        silence_id=row.SilenceId,
        device=row.DevicePattern,
        tag=row.TagPattern,
        until=row.UntilTime,
        made_by=row.MadeBy,
        made_at=row.MadeAt,
        why=row.Why,
        ended_by=row.EndedBy,
        ended_at=row.EndedAt,
    )


def silence_row(silence: Silence) -> dict[str, object]:
    """Return the row of Silences."""
    return {
        "SilenceId": silence.silence_id,
        "DevicePattern": silence.device,
        "TagPattern": silence.tag,
        "UntilTime": silence.until,
        "MadeBy": silence.made_by,
        "MadeAt": silence.made_at,
        "Why": silence.why,
        "EndedBy": silence.ended_by,
        "EndedAt": silence.ended_at,
    }


def tolerance_of(row: sa.Row[Any]) -> Tolerance:
    """Return the tolerance in a row of Tolerances."""
    return Tolerance(
        alert_id=row.AlertId,
        sensor_id=row.SensorId,
        verdict=row.Verdict,
        direction=None if row.Direction == _UNKNOWN_DIRECTION else row.Direction,
        value_limit=row.ValueLimit,
        score_limit=row.ScoreLimit,
        model_version=row.ModelVersion,
        from_end=row.FromEnd,
        until_end=row.UntilEnd,
    )


def tolerance_row(tolerance: Tolerance) -> dict[str, object]:
    """Return the row of Tolerances."""
    return {
        "AlertId": tolerance.alert_id,
        "SensorId": tolerance.sensor_id,
        "Verdict": tolerance.verdict,
        "Direction": tolerance.direction or _UNKNOWN_DIRECTION,
        "ValueLimit": tolerance.value_limit,
        "ScoreLimit": tolerance.score_limit,
        "ModelVersion": tolerance.model_version,
        "FromEnd": tolerance.from_end,
        "UntilEnd": tolerance.until_end,
    }
