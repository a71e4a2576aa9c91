"""Actions of people on an alert, allowed and refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sensorwatch.alerts.actions import apply
from sensorwatch.alerts.handling import AlertAction, HandledAlert, HistoryEntry
from sensorwatch.alerts.records import Alert
from sensorwatch.errors import ConflictError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALERT = HandledAlert(Alert("3-10", 3, 10, 40, None, 4, 90.0, "high"))
ACKNOWLEDGE, RESOLVE = AlertAction("acknowledge", "anna"), AlertAction("resolve", "anna")
SILENCE = AlertAction("silence", "anna", "known", until=LATER)


def after(*actions: AlertAction, handled: HandledAlert = ALERT) -> tuple[HandledAlert, list[HistoryEntry]]:
    history: list[HistoryEntry] = []
    for action in actions:
        result = apply(handled, history, action, NOW)
        handled = result.handled
        history += [result.entry] if result.entry else []
    return handled, history


@pytest.mark.parametrize(
    ("actions", "condition"),
    [
        ((), "open"),
        ((ACKNOWLEDGE,), "acknowledged"),
        ((ACKNOWLEDGE, AlertAction("unacknowledge", "bert")), "open"),
        ((SILENCE,), "silenced"),
        ((ACKNOWLEDGE, SILENCE), "silenced"),
        ((ACKNOWLEDGE, SILENCE, AlertAction("unsilence", "bert")), "acknowledged"),
        ((ACKNOWLEDGE, SILENCE, RESOLVE), "resolved"),
        ((AlertAction("comment", "anna", "hm"),), "open"),
        ((AlertAction("feedback", "anna", verdict="expected"),), "open"),
    ],
)
def test_actions_lead_to_states(actions: Sequence[AlertAction], condition: str) -> None:
    handled, history = after(*actions)
    assert handled.condition(NOW) == condition
    assert [entry.action for entry in history] == [action.name for action in actions]


def test_a_silence_ends_by_itself() -> None:
    handled, _ = after(ACKNOWLEDGE, SILENCE)
    assert (handled.condition(LATER - timedelta(seconds=1)), handled.condition(LATER)) == ("silenced", "acknowledged")


@pytest.mark.parametrize(
    "action",
    [
        ACKNOWLEDGE,
        SILENCE,
        RESOLVE,
        AlertAction("comment", "anna", "hm"),
        AlertAction("feedback", "anna", verdict="new-trend"),
    ],
)
def test_the_same_action_by_the_same_person_twice_adds_nothing(action: AlertAction) -> None:
    assert after(action, action) == after(action)


def test_taking_back_twice_adds_nothing_but_by_another_person_it_is_refused() -> None:
    back = AlertAction("unacknowledge", "anna")
    assert after(ACKNOWLEDGE, back, back) == after(ACKNOWLEDGE, back)
    with pytest.raises(ConflictError, match="nobody has acknowledged it"):
        after(ACKNOWLEDGE, back, replace(back, actor="bert"))


def test_a_repeated_comment_is_kept_once_unless_its_author_wrote_another_between() -> None:
    hm, other = AlertAction("comment", "anna", "hm"), AlertAction("comment", "bert", "well")
    assert len(after(hm, other, hm)[1]) == 2
    assert len(after(hm, AlertAction("comment", "anna", "no"), hm)[1]) == 3


def test_another_person_takes_an_acknowledgement_over() -> None:
    handled, history = after(ACKNOWLEDGE, replace(ACKNOWLEDGE, actor="bert"))
    assert handled.handling.acknowledged_by == "bert"
    assert [entry.actor for entry in history] == ["anna", "bert"]


def test_resolving_ends_the_episode_at_its_last_anomalous_window() -> None:
    assert after(RESOLVE)[0].alert.cleared_end == 40


@pytest.mark.parametrize("name", ["acknowledge", "unacknowledge", "silence", "unsilence", "resolve"])
def test_a_resolved_alert_stays_resolved_and_takes_comments(name: str) -> None:
    handled, _ = after(RESOLVE)
    until = LATER if name == "silence" else None
    with pytest.raises(ConflictError, match=f"can't {name} a resolved alert \\(resolved by anna\\)"):
        after(AlertAction(name, "bert", until=until), handled=handled)  # type: ignore[arg-type]
    judged, _ = after(
        AlertAction("comment", "bert", "hm"), AlertAction("feedback", "bert", verdict="confirmed"), handled=handled
    )
    assert judged.handling.feedback == "confirmed"


def test_an_alert_that_is_not_silenced_cannot_be_unsilenced() -> None:
    with pytest.raises(ConflictError, match="it is not muted"):
        after(AlertAction("unsilence", "anna"))


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (AlertAction("acknowledge", " "), "expected the name of a person"),
        (AlertAction("acknowledge", "a" * 201), "1 to 200 characters"),
        (AlertAction("acknowledge", "anna", "x" * 1001), "at most 1000 characters, got 1001"),
        (AlertAction("silence", "anna"), "expected an end with a time zone"),
        (AlertAction("silence", "anna", until=NOW), "expected an end after now"),
        (AlertAction("silence", "anna", until=LATER.replace(tzinfo=None)), "with a time zone"),
        (AlertAction("resolve", "anna", until=LATER), "takes no `until`"),
        (AlertAction("comment", "anna", " "), "expected a text"),
        (AlertAction("feedback", "anna"), "expected a verdict"),
        (AlertAction("resolve", "anna", verdict="expected"), "expected no verdict"),
    ],
)
def test_an_action_that_makes_no_sense_is_refused_with_what_was_expected(action: AlertAction, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        after(action)
