"""Messages as CloudEvents 1.0 in structured mode (https://github.com/cloudevents/spec)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sensorwatch.alerts.message import AlertMessage

__all__ = ["CONTENT_TYPE", "cloud_event"]

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

_SOURCE = "/sensorwatch"


def cloud_event(message: AlertMessage) -> bytes:
    """Return the message as a CloudEvents JSON object; ``id`` is its idempotency key.

    With tracing, it has the attribute ``traceparent`` of the distributed tracing extension.
    """
    event = {
        "specversion": "1.0",
        "id": message.key,
        "source": _SOURCE,
        "type": f"sensorwatch.alert.{message.payload['event']}",
        "subject": message.subject,
        "time": message.time.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **({"traceparent": message.traceparent} if message.traceparent else {}),
        "data": dict(message.payload),
    }
    return json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
