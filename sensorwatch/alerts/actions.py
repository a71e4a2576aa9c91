"""Actions of people on an alert. Pure.

The same action by the same person has an effect only once. An action that the alert's state does not allow is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sensorwatch.alerts.handling import HistoryEntry
from sensorwatch.errors import ConflictError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sensorwatch.alerts.handling import AlertAction, HandledAlert
    from sensorwatch.alerts.records import Alert

__all__ = ["ACTOR_LENGTH", "TEXT_LENGTH", "ActionResult", "apply", "silence_of"]

ACTOR_LENGTH = 200
TEXT_LENGTH = 1000

_OPPOSITES = {
    "acknowledge": "unacknowledge",
    "unacknowledge": "acknowledge",
    "silence": "unsilence",
    "unsilence": "silence",
}


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The alert after an action, and the new history entry; None if the action changed nothing."""

    handled: HandledAlert
    entry: HistoryEntry | None

    @property
    def alert(self) -> Alert:
        """The alert after the action."""
        return self.handled.alert


def silence_of(alert: Alert) -> str:
    """Return the id of the silence that muting this alert creates."""
    return f"alert-{alert.alert_id}"


def apply(handled: HandledAlert, history: Sequence[HistoryEntry], action: AlertAction, now: datetime) -> ActionResult:
    """Apply an action to an alert.

    Parameters
    ----------
    handled
        Current state of the alert.
    history
        History of the alert, oldest entry first.
    action
        The action.
    now
        Current time, with a time zone.

    Raises
    ------
    ConflictError
        The state of the alert does not allow the action.
    InvalidInputError
        The action is incomplete or invalid.
    """
    _check(action, now)
    if _done_already(handled, history, action):
        return ActionResult(handled, None)
    _check_possible(handled, action, now)
    handling = handled.handling
    alert = handled.alert
    match action.name:
        case "acknowledge":
            handling = replace(handling, acknowledged_by=action.actor, acknowledged_at=now)
        case "unacknowledge":
            handling = replace(handling, acknowledged_by=None, acknowledged_at=None)
        case "silence":
            handling = replace(
                handling,
                silence_id=silence_of(alert),
                silenced_until=action.until,
                silenced_by=action.actor,
                silenced_why=action.text,
            )
        case "unsilence":
            handling = replace(handling, silence_id=None, silenced_until=None, silenced_by=None, silenced_why=None)
        case "resolve":
            handling = replace(handling, resolved_by=action.actor)
            alert = replace(alert, cleared_end=alert.last_anomaly_end)
        case "feedback":
            handling = replace(handling, feedback=action.verdict, feedback_by=action.actor, feedback_at=now)
        case "comment":
            pass
    after = replace(handled, alert=alert, handling=handling)
    return ActionResult(after, HistoryEntry(now, action.actor, action.name, _detail(action)))


def _check(action: AlertAction, now: datetime) -> None:
    if not action.actor.strip() or len(action.actor) > ACTOR_LENGTH:
        raise InvalidInputError(
            f"{action.name}: expected the name of a person, 1 to {ACTOR_LENGTH} characters, got `{action.actor}`"
        )
    if len(action.text) > TEXT_LENGTH:
        raise InvalidInputError(
            f"{action.name}: expected a text of at most {TEXT_LENGTH} characters, got {len(action.text)}"
        )
    if action.name == "silence":
        if action.until is None or action.until.tzinfo is None:
            raise InvalidInputError(f"silence: expected an end with a time zone, got `{action.until}`")
        if action.until <= now:
            raise InvalidInputError(
                f"silence: expected an end after now ({now.isoformat()}), got `{action.until.isoformat()}`"
            )
    elif action.until is not None:
        raise InvalidInputError(f"{action.name}: takes no `until`, got `{action.until.isoformat()}`")
    if action.name == "comment" and not action.text.strip():
        raise InvalidInputError("comment: expected a text, got none")
    if (action.name == "feedback") != (action.verdict is not None):
        raise InvalidInputError(
            f"{action.name}: expected {'a verdict' if action.name == 'feedback' else 'no verdict'}, "
            f"got `{action.verdict}`; feedback takes confirmed, expected, false-alarm or new-trend"
        )


def _done_already(handled: HandledAlert, history: Sequence[HistoryEntry], action: AlertAction) -> bool:
    handling = handled.handling
    match action.name:
        case "acknowledge":
            return handling.acknowledged_by == action.actor
        case "silence":
            return (handling.silenced_until, handling.silenced_by, handling.silenced_why) == (
                action.until,
                action.actor,
                action.text,
            )
        case "resolve":
            return handling.resolved_by == action.actor
        case "feedback":
            return (handling.feedback, handling.feedback_by) == (action.verdict, action.actor)
        case "comment":
            own = next((entry for entry in reversed(history) if entry.actor == action.actor), None)
            return own is not None and (own.action, own.detail) == ("comment", action.text)
        case "unacknowledge" | "unsilence":
            pair = {action.name, _OPPOSITES[action.name]}
            last = next((entry for entry in reversed(history) if entry.action in pair), None)
            return last is not None and (last.actor, last.action) == (action.actor, action.name)


def _check_possible(handled: HandledAlert, action: AlertAction, now: datetime) -> None:
    alert, handling = handled.alert, handled.handling
    if alert.cleared_end is not None and action.name not in {"comment", "feedback"}:
        by = handling.resolved_by or "the quiet period"
        raise ConflictError(
            f"alert {alert.alert_id}: can't {action.name} a resolved alert (resolved by {by}); "
            "only comments and feedback are possible"
        )
    if action.name == "unacknowledge" and handling.acknowledged_by is None:
        raise ConflictError(f"alert {alert.alert_id}: can't unacknowledge, nobody has acknowledged it")
    if action.name == "unsilence" and not handling.silenced(now):
        raise ConflictError(f"alert {alert.alert_id}: can't unsilence, it is not muted")


def _detail(action: AlertAction) -> str:
    if action.name == "silence" and action.until is not None:
        return (
            f"until {action.until.isoformat()}: {action.text}" if action.text else f"until {action.until.isoformat()}"
        )
    if action.verdict is not None:
        return f"{action.verdict}: {action.text}" if action.text else action.verdict
    return action.text
