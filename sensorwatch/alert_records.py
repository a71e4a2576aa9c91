"""What people do with alerts, as records: handling, actions, history, silences, feedback and labels.

Moments are aware and in UTC; ends of windows are in whole seconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from sensorwatch.records import Alert, AlertKind, SensorKey

__all__ = [
    "PRODUCT",
    "ActionName",
    "AlertAction",
    "AlertCondition",
    "AlertFilter",
    "Direction",
    "HandledAlert",
    "Handling",
    "HistoryEntry",
    "IncidentRules",
    "Label",
    "Silence",
    "Tolerance",
    "Verdict",
]

AlertCondition = Literal["open", "acknowledged", "silenced", "resolved"]
"""Where an alert stands, as people see it."""

ActionName = Literal["acknowledge", "unacknowledge", "silence", "unsilence", "resolve", "comment", "feedback"]
"""What people can do with an alert."""

Verdict = Literal["confirmed", "expected", "false-alarm", "new-trend"]
"""What a person says an alert was."""

Direction = Literal["above", "below", "any"]
"""On which side of the expected range a value lies; ``any`` where that is not known."""

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
    go by them, :meth:`~sensorwatch.ports.LifecycleStore.handled_alerts` does not.
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
    same direction and not beyond ``value_limit``; in direction ``any``, scored not beyond ``score_limit``.
    """

    alert_id: str
    sensor_id: int
    verdict: Verdict
    direction: Direction
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
