"""What event hub triggers share: from the host's events to the steps' own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sensorwatch.errors import InvalidInputError
from sensorwatch.records import RawEvent
from sensorwatch.telemetry.providers import enabled

if TYPE_CHECKING:
    import azure.functions as func

__all__ = ["partition_id", "raw_event", "senders"]


def partition_id(event: func.EventHubEvent) -> str:
    """Return the partition's id; hosts send its context as an object or as that object's JSON text."""
    context = (event.metadata or {})["PartitionContext"]
    return str((json.loads(context) if isinstance(context, str) else context)["PartitionId"])


def raw_event(event: func.EventHubEvent) -> RawEvent:
    """Return an event as the steps take it.

    Raises
    ------
    InvalidInputError
        It has no sequence number or no enqueued time.
    """
    if event.sequence_number is None or event.enqueued_time is None:
        raise InvalidInputError(
            "an event came without the sequence number and enqueued time by which duplicates are known, got "
            f"`{event.sequence_number}` and `{event.enqueued_time}`; the host sends both in SystemPropertiesArray"
        )
    return RawEvent(event.sequence_number, _aware(event.enqueued_time), event.get_body())


def senders(event: func.EventHubEvent) -> list[str]:
    """Return the traceparents that the batch of an event came with, each once; none where nobody looks at them.

    Azure's own libraries call the property ``Diagnostic-Id``.
    """
    if not enabled():
        return []
    properties = (event.metadata or {}).get("PropertiesArray") or []
    of_events = json.loads(properties) if isinstance(properties, str) else properties
    found = (each.get("traceparent") or each.get("Diagnostic-Id") for each in of_events)
    return [text for text in dict.fromkeys(found) if isinstance(text, str)]


def _aware(time: datetime) -> datetime:
    """Return the time in UTC; the host may leave the zone out, and then means UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
