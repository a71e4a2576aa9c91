"""Actions of people on alerts; repeating an action changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from sensorwatch.alerts.actions import TEXT_LENGTH
from sensorwatch.alerts.handling import ActionName, AlertAction, Verdict
from sensorwatch.api.alerts import AlertDetail, alert_detail
from sensorwatch.api.requests import AlertId, Context, ReadContext, Sender

__all__ = ["router"]

router = APIRouter(prefix="/api/alerts/{alert_id}", tags=["alerts"])

_LONGEST_SILENCE_SECONDS = 366 * 86_400

_Text = Annotated[str, Field(max_length=TEXT_LENGTH)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Note(_Body):
    """Optional comment for the history of the alert."""

    comment: _Text = Field("", examples=["looking at it"])


class Comment(_Body):
    """Comment for the history of the alert."""

    comment: Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH, pattern=r"\S")] = Field(
        examples=["the pump was serviced"]
    )


class SilenceRequest(_Body):
    """Duration and reason of muting: either `until` or `seconds`."""

    until: AwareDatetime | None = Field(None, examples=["2027-01-01T00:00:00Z"])
    seconds: Annotated[int, Field(ge=1, le=_LONGEST_SILENCE_SECONDS)] | None = Field(None, examples=[3600])
    reason: _Text = Field("", examples=["known problem, spare part ordered"])

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.until is None) == (self.seconds is None):
            raise ValueError("expected either until or seconds, not both or none")
        return self

    def end(self, now: datetime) -> datetime | None:
        """Return the end of muting, with a time zone."""
        return self.until if self.seconds is None else now + timedelta(seconds=self.seconds)


class Feedback(_Body):
    """Verdict on the alert."""

    verdict: Verdict
    comment: _Text = ""


@router.post("/acknowledge")
def acknowledge(context: ReadContext, sender: Sender, alert_id: AlertId, note: Note | None = None) -> AlertDetail:
    """Acknowledge the alert: mark it as being looked after."""
    return _act(context, sender.name, alert_id, "acknowledge", note)


@router.post("/unacknowledge")
def unacknowledge(context: ReadContext, sender: Sender, alert_id: AlertId, note: Note | None = None) -> AlertDetail:
    """Withdraw the acknowledgement of the alert."""
    return _act(context, sender.name, alert_id, "unacknowledge", note)


@router.post("/silence")
def silence(context: ReadContext, sender: Sender, alert_id: AlertId, body: SilenceRequest) -> AlertDetail:
    """Mute the alert and further alerts of its sensor until a given time: no notifications are sent."""
    until = body.end(context.product.clock())
    return _done(context, alert_id, AlertAction("silence", sender.name, body.reason, until=until))


@router.post("/unsilence")
def unsilence(context: ReadContext, sender: Sender, alert_id: AlertId, note: Note | None = None) -> AlertDetail:
    """Unmute the alert before the end of muting."""
    return _act(context, sender.name, alert_id, "unsilence", note)


@router.post("/resolve")
def resolve(context: ReadContext, sender: Sender, alert_id: AlertId, note: Note | None = None) -> AlertDetail:
    """Resolve the alert before its quiet period is over."""
    return _act(context, sender.name, alert_id, "resolve", note)


@router.post("/comments")
def comments(context: ReadContext, sender: Sender, alert_id: AlertId, body: Comment) -> AlertDetail:
    """Add a comment to the history of the alert."""
    return _done(context, alert_id, AlertAction("comment", sender.name, body.comment))


@router.post("/feedback")
def feedback(context: ReadContext, sender: Sender, alert_id: AlertId, body: Feedback) -> AlertDetail:
    """Record a verdict on the alert. If it was no fault, similar windows raise no alert from the next scoring on."""
    return _done(context, alert_id, AlertAction("feedback", sender.name, body.comment, verdict=body.verdict))


def _act(context: Context, actor: str, alert_id: str, name: ActionName, note: Note | None) -> AlertDetail:
    return _done(context, alert_id, AlertAction(name, actor, note.comment if note else ""))


def _done(context: Context, alert_id: str, action: AlertAction) -> AlertDetail:
    return alert_detail(context, context.product.store.act(alert_id, action))
