"""Records of anomalies, alerts, incidents and notifications."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.detectors.explanation import Explanation

__all__ = [
    "FAILING_AFTER",
    "Alert",
    "AlertChanges",
    "AlertKind",
    "AlertState",
    "Anomaly",
    "ClaimedNotification",
    "Incident",
    "IncidentRules",
    "Notification",
    "PublishOutcome",
    "SinkStatus",
]

AlertKind = Literal["anomaly", "no-data", "flatline", "failure-risk", "ingestion-stopped"]
"""Cause of an alert: anomalous windows, no data, values that no longer vary, or a predicted failure."""

FAILING_AFTER = 3
"""Number of successive failed attempts after which a sink counts as failing."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One anomalous window.

    Attributes
    ----------
    sensor_id
        The sensor.
    end
        End of the window in seconds since 1970-01-01T00:00:00Z.
    value
        Mean of the window's readings.
    score
        Anomaly score, 0 to 100.
    severity
        Severity of the score.
    expected_low, expected_high
        Bounds of the expected range; None if the detector has no such bound.
    model_version
        Version of the model that scored the window.
    training_start, training_end
        Ends of the first and the last window that the model was trained on, in seconds since 1970-01-01T00:00:00Z;
        None if not known.
    suppressed
        Reason why the window raises no alert; empty if it may raise one.
    expected_value
        Most likely value; None if the detector has none.
    explanation
        Scores of the detectors that found the anomaly; None if they were not recorded.
    """

    sensor_id: int
    end: int
    value: float
    score: float
    severity: str
    expected_low: float | None
    expected_high: float | None
    model_version: str
    training_start: int | None = None
    training_end: int | None = None
    suppressed: str = ""
    expected_value: float | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One episode of a sensor.

    Times are ends of windows in seconds since 1970-01-01T00:00:00Z.

    Attributes
    ----------
    alert_id
        Id that follows from the sensor and the window that opened the alert.
    sensor_id
        The sensor.
    opened_end
        The window that opened the alert.
    last_anomaly_end
        The newest anomalous window of the alert.
    cleared_end
        The window at which the quiet period was over; None while the alert is open.
    anomalies
        Number of anomalous windows.
    peak_score
        Highest score of the anomalous windows, 0 to 100.
    severity
        Severity of ``peak_score``.
    kind
        Cause of the alert.
    peak_value, expected_low, expected_high, model_version, training_start, training_end, explanation
        Fields of :class:`Anomaly` for the window that opened the alert, or for the highest of later windows that score
        above ``peak_score``; None or empty if not known. ``explanation`` is a sentence
        (:func:`sensorwatch.alerts.explanation_text.explanation_text`).
    """

    alert_id: str
    sensor_id: int
    opened_end: int
    last_anomaly_end: int
    cleared_end: int | None
    anomalies: int
    peak_score: float
    severity: str
    kind: AlertKind = "anomaly"
    peak_value: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    model_version: str = ""
    training_start: int | None = None
    training_end: int | None = None
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class AlertState:
    """State of the alert state machine for one sensor, stored between two prediction files.

    Attributes
    ----------
    sensor_id
        The sensor.
    last_end
        End of the newest processed window in seconds since 1970-01-01T00:00:00Z. Windows at or before it are ignored.
    recent_scores
        Scores (0 to 100) of the last ``n`` windows, oldest first; None for a normal window.
    alert
        The open alert, if any.
    """

    sensor_id: int
    last_end: int
    recent_scores: tuple[float | None, ...]
    alert: Alert | None


@dataclass(frozen=True, slots=True)
class Incident:
    """Alerts of one device or site that opened at about the same time.

    Times are ends of windows in seconds since 1970-01-01T00:00:00Z.

    Attributes
    ----------
    incident_id
        Id that follows from the first alert.
    group
        The device or site.
    first_end, last_end
        The windows that opened the first and the newest alert.
    closed_end
        The window at which the last alert was over; None while an alert is open.
    alerts
        Number of alerts.
    peak_score, severity
        Those of the alert with the highest score.
    top
        The ten alerts with the highest peak scores.
    """

    incident_id: str
    group: str
    first_end: int
    last_end: int
    closed_end: int | None
    alerts: int
    peak_score: float
    severity: str
    top: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to send about an alert or an incident.

    Attributes
    ----------
    key
        Idempotency key of the delivery (``<alert_id>:opened``).
    event
        What happened.
    alert
        The alert; for an incident, its alert with the highest score.
    incident
        The incident that opened or cleared; None if the message is about the alert alone.
    traceparent
        Trace of the step that caused the notification; deliveries continue it. The store fills it in.
    """

    key: str
    event: Literal["opened", "cleared"]
    alert: Alert
    incident: Incident | None = None
    traceparent: str | None = field(default=None, compare=False)

    @classmethod
    def opened(cls, alert: Alert) -> Notification:
        """Return the notification that an alert has opened."""
        return cls(f"{alert.alert_id}:opened", "opened", alert)

    @classmethod
    def cleared(cls, alert: Alert) -> Notification:
        """Return the notification that an alert has cleared."""
        return cls(f"{alert.alert_id}:cleared", "cleared", alert)


@dataclass(frozen=True, slots=True)
class ClaimedNotification:
    """A notification that one process delivers to one sink, until its lease expires.

    ``lease`` identifies the claim. ``attempts`` is the number of earlier attempts.
    """

    notification: Notification
    attempts: int
    lease: str


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """Health of a sink; times are in UTC, None for an event that has not happened.

    Attributes
    ----------
    name
        Name of the sink.
    since
        Time at which the sink was added. It gets no notification that was queued earlier.
    failures
        Number of failed attempts since the last delivery.
    failing_since
        Time of the first of these failures.
    retry_at
        Time of the next attempt, while the sink is failing.
    last_error
        Message of the last failure.
    last_delivery
        Time of the last delivery.
    waiting
        Number of notifications that wait for the sink.
    """

    name: str
    since: datetime
    failures: int
    failing_since: datetime | None
    retry_at: datetime | None
    last_error: str
    last_delivery: datetime | None
    waiting: int

    @property
    def failing(self) -> bool:
        """True after :data:`FAILING_AFTER` failed attempts in a row."""
        return self.failures >= FAILING_AFTER


@dataclass(frozen=True, slots=True)
class AlertChanges:
    """Changed states and alerts to store, and the notifications to send."""

    states: Sequence[AlertState]
    alerts: Sequence[Alert]
    notifications: Sequence[Notification]

    @classmethod
    def of(cls, opened: Sequence[Alert], cleared: Sequence[Alert]) -> AlertChanges:
        """Return the changes for alerts without a state machine: opened and cleared ones, with notifications."""
        notifications = [*map(Notification.opened, opened), *map(Notification.cleared, cleared)]
        return cls(states=(), alerts=[*opened, *cleared], notifications=notifications)


@dataclass(frozen=True, slots=True)
class PublishOutcome:
    """Numbers of changes made by publishing a prediction file; all zero if it was published before."""

    anomalies_added: int
    anomalies_withdrawn: int
    alerts_opened: int
    alerts_cleared: int


@dataclass(frozen=True, slots=True)
class IncidentRules:
    """Rules that group alerts into incidents.

    Attributes
    ----------
    sensors
        Number of sensors of one group with alerts at about the same time that opens an incident.
    seconds
        Largest distance between the opening windows of two alerts that belong together, in seconds.
    site_pattern
        Regular expression that finds the group in a device's name: its first capturing group, or the whole match. If
        it is empty or does not match, the group is the device.
    """

    sensors: int = 3
    seconds: int = 300
    site_pattern: str = ""
