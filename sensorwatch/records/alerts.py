"""Anomalies, alerts, incidents and what the outside is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.records.explanations import Explanation

__all__ = [
    "FAILING_AFTER",
    "Alert",
    "AlertChanges",
    "AlertKind",
    "AlertState",
    "Anomaly",
    "ClaimedNotification",
    "Incident",
    "Notification",
    "PublishOutcome",
    "SinkStatus",
]

AlertKind = Literal["anomaly", "no-data", "flatline", "failure-risk"]
"""What an alert is about: anomalous windows, no windows at all, windows that no longer vary, a failure ahead."""

FAILING_AFTER = 3
"""Failed tries in a row after which a sink counts as failing."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One anomalous window. ``score`` is 0-100; ``expected_low``/``expected_high`` bound what was expected.

    ``training_start``/``training_end`` are the ends of the first and last window that its model was trained on
    (seconds since 1970-01-01T00:00:00Z; None: not known). ``suppressed`` says why it raises no alert, empty if it may.
    ``expected_value`` is what was likeliest, None where nothing within the range was, or there is none. ``explanation``
    says who found it; None: nobody noted it.
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
    """One episode of a sensor; ``alert_id`` follows from the sensor and the window that opened it.

    ``opened_end`` is the window that opened it, ``last_anomaly_end`` the newest anomalous window in it,
    ``cleared_end`` the window at which the quiet period was over (None while open); seconds since
    1970-01-01T00:00:00Z. ``anomalies`` counts its anomalous windows, ``peak_score`` is their highest score (0-100).
    ``peak_value``, the expected range, the model's version and its training range are those of the window that opened
    it, until one scores higher than all before; None or empty where they are not known. So is ``explanation``, which
    says in words why the window is anomalous (:func:`sensorwatch.explanations.explanation_text`).
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
    """A sensor's place in the alert state machine: all that must be remembered between two prediction files.

    ``last_end`` is the newest window taken in: windows at or before it change nothing. ``recent_scores`` holds the
    scores (0-100) of the last n windows, oldest first, None for one that was normal. ``alert`` is the open alert.
    """

    sensor_id: int
    last_end: int
    recent_scores: tuple[float | None, ...]
    alert: Alert | None


@dataclass(frozen=True, slots=True)
class Incident:
    """Alerts of one device or site that opened near each other; ``incident_id`` follows from the first of them.

    ``first_end`` and ``last_end`` are the windows that opened its first and its newest alert, ``closed_end`` the one at
    which the last of its alerts was over (None while one is open); seconds since 1970-01-01T00:00:00Z. ``alerts`` is
    their number, ``top`` the ten highest of them by peak score, ``peak_score`` and ``severity`` those of the highest.
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
    """Something to tell the outside: ``key`` makes the delivery idempotent (``<alert_id>:opened``).

    With an ``incident`` it is that incident that opened or cleared, and ``alert`` is the highest of its alerts.
    ``traceparent`` is the trace of what gave rise to it, which deliveries go on with; the store fills it in.
    """

    key: str
    event: Literal["opened", "cleared"]
    alert: Alert
    incident: Incident | None = None
    traceparent: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ClaimedNotification:
    """A notification that one process delivers to one sink until its lease is over; ``lease`` names that claim.

    ``attempts`` counts the tries before this one.
    """

    notification: Notification
    attempts: int
    lease: str


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How a sink is doing; times in UTC, None for what has not happened.

    Attributes
    ----------
    since
        When notifications began to be delivered to it: it gets none that were handed out before.
    failures
        Failed tries since its last delivery, and ``failing_since`` the first of them.
    retry_at
        A sink that has failed several times in a row is left alone until then.
    waiting
        Notifications that it has still to get.
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
        """Whether so many tries in a row have failed that it counts as out of order."""
        return self.failures >= FAILING_AFTER


@dataclass(frozen=True, slots=True)
class AlertChanges:
    """What a prediction file changes: states and alerts to store as they are now, and what to tell the outside."""

    states: Sequence[AlertState]
    alerts: Sequence[Alert]
    notifications: Sequence[Notification]


@dataclass(frozen=True, slots=True)
class PublishOutcome:
    """What storing a prediction file did; all zero when it had been stored before."""

    anomalies_added: int
    anomalies_withdrawn: int
    alerts_opened: int
    alerts_cleared: int
