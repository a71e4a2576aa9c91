"""Message bodies for Teams and Slack.

All text goes into plain-text elements, so that names from devices cannot become links or mentions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sensorwatch.alerts.message import facts, headline

if TYPE_CHECKING:
    from sensorwatch.alerts.message import AlertMessage

__all__ = ["slack_message", "teams_card"]


def teams_card(message: AlertMessage) -> bytes:
    """Return an Adaptive Card for webhooks of Teams (Workflows), in text runs, which are not parsed as Markdown."""
    payload = message.payload
    body = [_text_runs({"text": headline(payload), "weight": "Bolder", "size": "Medium"})]
    body += [_text_runs({"text": f"{label}: ", "weight": "Bolder"}, {"text": value}) for label, value in facts(payload)]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if payload["link"] is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in the dashboard", "url": payload["link"]}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return _encode({"type": "message", "attachments": [attachment]})


def _text_runs(*runs: dict[str, str]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}


def slack_message(message: AlertMessage) -> bytes:
    """Return a message of blocks for incoming webhooks of Slack; ``text`` is shown in notifications."""
    payload = message.payload
    title = headline(payload)
    lines = "\n".join(f"{label}: {value}" for label, value in facts(payload))
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain_text(title[:150])},
        {"type": "section", "text": _plain_text(lines)},
    ]
    if payload["link"] is not None:
        button = {"type": "button", "text": _plain_text("Open in the dashboard"), "url": payload["link"]}
        blocks.append({"type": "actions", "elements": [button]})
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _encode({"text": escaped, "blocks": blocks})


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
