"""Anomalies, alerts, incidents and what the outside is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sensorwatch.config.alerts import Direction
    from sensorwatch.detectors.explanation import Explanation
    from sensorwatch.sensors.records import ReportingProfile, SensorKey

__all__ = [
    "FAILING_AFTER",
    "PRODUCT",
    "ActionName",
    "Alert",
    "AlertAction",
    "AlertChanges",
    "AlertCondition",
    "AlertFilter",
    "AlertKind",
    "AlertState",
    "Anomaly",
    "ClaimedNotification",
    "FlatChanges",
    "FlatProgress",
    "FlatRun",
    "HandledAlert",
    "Handling",
    "HistoryEntry",
    "Incident",
    "IncidentRules",
    "Label",
    "Notification",
    "PublishOutcome",
    "SensorActivity",
    "Silence",
    "SinkStatus",
    "Tolerance",
    "Verdict",
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
    says in words why the window is anomalous (:func:`sensorwatch.alerts.explanation_text.explanation_text`).
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


AlertCondition = Literal["open", "acknowledged", "silenced", "resolved"]
"""Where an alert stands, as people see it."""

ActionName = Literal["acknowledge", "unacknowledge", "silence", "unsilence", "resolve", "comment", "feedback"]
"""What people can do with an alert."""

Verdict = Literal["confirmed", "expected", "false-alarm", "new-trend"]
"""What a person says an alert was."""

PRODUCT = "sensorwatch"
"""The actor of what the product does by itself."""


@dataclass(frozen=True, slots=True)
class Handling:
    """What people did with an alert, as it stands now; None: nobody did.

    ``silence_id`` names the silence that ``silenced_until``, ``silenced_by`` and ``silenced_why`` come from.
    ``resolved_by`` is None for an alert that the quiet period cleared.
    """

    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    silence_id: str | None = None
    silenced_until: datetime | None = None
    silenced_by: str | None = None
    silenced_why: str | None = None
    resolved_by: str | None = None
    feedback: Verdict | None = None
    feedback_by: str | None = None
    feedback_at: datetime | None = None

    def silenced(self, now: datetime) -> bool:
        """Return whether nobody is to be told at that moment."""
        return self.silenced_until is not None and now < self.silenced_until


@dataclass(frozen=True, slots=True)
class HandledAlert:
    """An alert with what people did with it, and the incident it belongs to, if any."""

    alert: Alert
    handling: Handling = field(default_factory=Handling)
    incident_id: str | None = None

    def condition(self, now: datetime) -> AlertCondition:
        """Return where the alert stands: what is over is ``resolved``, and a silence hides an acknowledgement."""
        if self.alert.cleared_end is not None:
            return "resolved"
        if self.handling.silenced(now):
            return "silenced"
        return "acknowledged" if self.handling.acknowledged_by is not None else "open"


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts to list; None: any.

    ``opened_after`` and ``opened_before`` bound the window that opened them: ``after < opened_end <= before``;
    ``unresolved`` leaves out what is resolved. ``device`` and ``tag`` are the sensor's names, exactly; pages of alerts
    go by them, :meth:`~sensorwatch.alerts.ports.LifecycleStore.handled_alerts` does not.
    """

    condition: AlertCondition | None = None
    sensor_id: int | None = None
    kind: AlertKind | None = None
    severity: str | None = None
    incident_id: str | None = None
    feedback: Verdict | None = None
    opened_after: int | None = None
    opened_before: int | None = None
    unresolved: bool = False
    device: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class AlertAction:
    """What somebody wants to do with an alert.

    ``until`` belongs to ``silence``, ``verdict`` to ``feedback``; ``text`` is the reason of a silence, the comment, or
    a note to the others.
    """

    name: ActionName
    actor: str
    text: str = ""
    until: datetime | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Something that happened to an alert; ``actor`` is a person, or :data:`PRODUCT`."""

    at: datetime
    actor: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of the alerts of some sensors until a moment.

    ``device`` and ``tag`` are patterns with ``*``, ``?`` and ``[…]``, upper and lower case told apart.
    """

    silence_id: str
    device: str
    tag: str
    until: datetime
    made_by: str
    made_at: datetime
    why: str
    ended_by: str | None = None
    ended_at: datetime | None = None

    def active(self, now: datetime) -> bool:
        """Return whether it holds at that moment."""
        return self.ended_at is None and now < self.until


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Anomalous windows of a sensor that raise no alert, as feedback on an earlier alert says they mean nothing.

    It holds for windows ``from_end < end <= until_end`` (None: no end) that the model of this version scored, in the
    same direction and not beyond ``value_limit``; if the direction is not known (None), with a score up to
    ``score_limit``.
    """

    alert_id: str
    sensor_id: int
    verdict: Verdict
    direction: Direction | None
    value_limit: float | None
    score_limit: float
    model_version: str
    from_end: int
    until_end: int | None = None


@dataclass(frozen=True, slots=True)
class IncidentRules:
    """When alerts become one incident.

    Attributes
    ----------
    sensors
        So many sensors of one group alerting near each other open an incident.
    seconds
        Alerts whose opening windows end at most so far from one another are near.
    site_pattern
        Regular expression that takes the group from the device's name: its first parenthesis, or all it finds. Without
        one, and for a device it does not find anything in, the group is the device.
    """

    sensors: int = 3
    seconds: int = 300
    site_pattern: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """An episode that a person has judged, for supervised models."""

    sensor: SensorKey
    handled: HandledAlert


class SensorActivity(NamedTuple):
    """A sensor with the end of its newest window and its usual interval in seconds."""

    sensor_id: int
    key: SensorKey
    last_window: int
    interval_seconds: int


class FlatRun(NamedTuple):
    """The windows of a sensor that have been equal since the one that ended at ``since``; ``alert_id`` if told of."""

    sensor_id: int
    value: float
    since: int
    alert_id: str | None


@dataclass(frozen=True, slots=True)
class FlatProgress:
    """What is stored of some sensors of one shard.

    ``until`` is the end of the newest window taken in, None before the first; ``runs`` and ``profiles`` are by sensor,
    ``alerts`` are those of the runs, by id.
    """

    until: int | None
    runs: Mapping[int, FlatRun]
    profiles: Mapping[int, ReportingProfile]
    alerts: Mapping[str, Alert]


@dataclass(frozen=True, slots=True)
class FlatChanges:
    """What a file's windows change: the runs that are new, the sensors that have none any more, and the alerts."""

    until: int | None
    runs: Sequence[FlatRun]
    ended: Sequence[int]
    alerts: AlertChanges
