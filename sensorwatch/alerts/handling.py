"""Records of what people do with alerts: actions, silences, feedback and history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sensorwatch.sensors.patterns import matches_pattern

if TYPE_CHECKING:
    from datetime import datetime

    from sensorwatch.alerts.records import Alert, AlertKind
    from sensorwatch.config.alerts import Direction
    from sensorwatch.sensors.records import SensorKey

__all__ = [
    "PRODUCT",
    "ActionName",
    "AlertAction",
    "AlertCondition",
    "AlertFilter",
    "HandledAlert",
    "Handling",
    "HistoryEntry",
    "Label",
    "Silence",
    "Tolerance",
    "Verdict",
]

AlertCondition = Literal["open", "acknowledged", "silenced", "resolved"]
"""State of an alert, as shown to people; ``silenced`` means muted by a person."""


ActionName = Literal["acknowledge", "unacknowledge", "silence", "unsilence", "resolve", "comment", "feedback"]
"""Actions that people take on an alert; ``silence`` mutes it."""


Verdict = Literal["confirmed", "expected", "false-alarm", "new-trend"]
"""A person's judgement of an alert."""


PRODUCT = "sensorwatch"
"""Actor of history entries that no person caused."""


@dataclass(frozen=True, slots=True)
class Handling:
    """Current result of people's actions on an alert; None where there was no action.

    ``silence_id`` identifies the silence that ``silenced_until``, ``silenced_by`` and ``silenced_why`` come from.
    ``resolved_by`` is None for an alert that cleared after the quiet period.
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
        """Return whether the alert is muted at ``now``."""
        return self.silenced_until is not None and now < self.silenced_until


@dataclass(frozen=True, slots=True)
class HandledAlert:
    """An alert, the result of people's actions on it, and its incident, if any."""

    alert: Alert
    handling: Handling = field(default_factory=Handling)
    incident_id: str | None = None

    def condition(self, now: datetime) -> AlertCondition:
        """Return the state of the alert. A silence takes precedence over an acknowledgement."""
        if self.alert.cleared_end is not None:
            return "resolved"
        if self.handling.silenced(now):
            return "silenced"
        return "acknowledged" if self.handling.acknowledged_by is not None else "open"


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Conditions that a list of alerts must meet; None: no condition.

    Attributes
    ----------
    opened_after, opened_before
        Bounds of the window that opened the alert: ``after < opened_end <= before``, in seconds since
        1970-01-01T00:00:00Z.
    unresolved
        Leaves out resolved alerts.
    device, tag
        Exact names of the sensor. Pages of alerts use them;
        lists of alerts ignore them.
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
    """An action of a person on an alert.

    Attributes
    ----------
    name
        The action.
    actor
        The person.
    text
        Reason of a silence, the comment, or a note on another action.
    until
        End of a silence, with a time zone; only for ``silence``.
    verdict
        The judgement; only for ``feedback``.
    """

    name: ActionName
    actor: str
    text: str = ""
    until: datetime | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An event in the life of an alert; ``actor`` is a person or :data:`PRODUCT`."""

    at: datetime
    actor: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Muting of all alerts of some sensors until a given time.

    ``device`` and ``tag`` are case-sensitive patterns with ``*``, ``?`` and ``[…]``, or exact names.
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
        """Return whether the silence is in force at ``now``."""
        return self.ended_at is None and now < self.until

    def matches(self, key: SensorKey) -> bool:
        """Return whether a sensor is muted by this."""
        return matches_pattern(key.device, self.device) and matches_pattern(key.tag, self.tag)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Anomalous windows of a sensor that raise no alert, because feedback called an earlier alert harmless.

    A window is tolerated if ``from_end < end <= until_end`` (None: no end), the model has ``model_version``, and the
    value lies on the same side of the expected range and not beyond ``value_limit``. If the side is not known
    (``direction`` is None), the score must not exceed ``score_limit`` instead.
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
class Label:
    """An alert that a person has judged, as a label for supervised models."""

    sensor: SensorKey
    handled: HandledAlert
