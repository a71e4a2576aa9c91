"""What people do with alerts; each action done twice changes nothing more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from sensorwatch.alert_records import ActionName, AlertAction, Verdict
from sensorwatch.alerting.actions import TEXT_LENGTH
from sensorwatch.api.alerts import AlertDetail, alert_detail
from sensorwatch.api.requests import AlertId, Context, ReadContext, Sender

__all__ = ["router"]

router = APIRouter(prefix="/api/alerts/{alert_id}", tags=["alerts"])

_LONGEST_SILENCE_SECONDS = 366 * 86_400

_Text = Annotated[str, Field(max_length=TEXT_LENGTH)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Note(_Body):
    """A note for the alert's history."""

    comment: _Text = Field("", examples=["looking at it"])


class Comment(_Body):
    """A comment for the alert's history."""

    comment: Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH, pattern=r"\S")] = Field(
        examples=["the pump was serviced"]
    )


class SilenceRequest(_Body):
    """How long nobody is to be told, and why: `until` or `seconds`, one of them."""

    until: AwareDatetime | None = Field(None, examples=["2027-01-01T00:00:00Z"])
    seconds: Annotated[int, Field(ge=1, le=_LONGEST_SILENCE_SECONDS)] | None = Field(None, examples=[3600])
    reason: _Text = Field("", examples=["planned work"])

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.until is None) == (self.seconds is None):
            raise ValueError("expected until or seconds, one of them")
        return self

    def end(self, now: datetime) -> datetime | None:
        """Return until when."""
        return self.until if self.seconds is None else now + timedelta(seconds=self.seconds)


class Feedback(_Body):
    """What the alert was."""

    verdict: Verdict
    comment: _Text = ""


@router.post("/acknowledge")
def acknowledge(context: ReadContext, sender: Sender, alert_id: AlertId, note: Note | None = None) -> AlertDetail:
    """Say that somebody looks after the alert."""
    return _act(context, sender.name, alert_id, "acknowledge", note)


@router.post("/unacknowledge")
def unacknowledge(context: ReadContext, sender: Sender, alert_id: AlertId, note: Note | None = None) -> AlertDetail:
    """Take the acknowledgement back."""
    return _act(context, sender.name, alert_id, "unacknowledge", note)


@router.post("/silence")
def silence(context: ReadContext, sender: Sender, alert_id: AlertId, body: SilenceRequest) -> AlertDetail:
    """Tell nobody of the alert and of what its sensor raises next, until a moment."""
    until = body.end(context.wiring.clock())
    return _done(context, alert_id, AlertAction("silence", sender.name, body.reason, until=until))


@router.post("/unsilence")
def unsilence(context: ReadContext, sender: Sender, alert_id: AlertId, note: Note | None = None) -> AlertDetail:
    """End the alert's silence before its time."""
    return _act(context, sender.name, alert_id, "unsilence", note)


@router.post("/resolve")
def resolve(context: ReadContext, sender: Sender, alert_id: AlertId, note: Note | None = None) -> AlertDetail:
    """Close the alert before its quiet period is over."""
    return _act(context, sender.name, alert_id, "resolve", note)


@router.post("/comments")
def comments(context: ReadContext, sender: Sender, alert_id: AlertId, body: Comment) -> AlertDetail:
    """Add a comment to the alert's history."""
    return _done(context, alert_id, AlertAction("comment", sender.name, body.comment))


@router.post("/feedback")
def feedback(context: ReadContext, sender: Sender, alert_id: AlertId, body: Feedback) -> AlertDetail:
    """Say what the alert was: what is no fault stops repeating with the next scoring."""
    return _done(context, alert_id, AlertAction("feedback", sender.name, body.comment, verdict=body.verdict))


def _act(context: Context, actor: str, alert_id: str, name: ActionName, note: Note | None) -> AlertDetail:
    return _done(context, alert_id, AlertAction(name, actor, note.comment if note else ""))


def _done(context: Context, alert_id: str, action: AlertAction) -> AlertDetail:
    return alert_detail(context, context.wiring.store.act(alert_id, action))
