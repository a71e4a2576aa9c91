"""Conversion of the host's Event Hubs events to those of the use cases."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.records import RawEvent
from sensorwatch.telemetry.providers import enabled

if TYPE_CHECKING:
    import azure.functions as func

__all__ = ["partition_id", "raw_event", "senders"]


def partition_id(event: func.EventHubEvent) -> str:
    """Return the id of an event's partition. Hosts send the partition context as an object or as JSON text."""
    context = (event.metadata or {})["PartitionContext"]
    return str((json.loads(context) if isinstance(context, str) else context)["PartitionId"])


def raw_event(event: func.EventHubEvent) -> RawEvent:
    """Return an event in the form that the use cases take.

    Raises
    ------
    InvalidInputError
        The event has no sequence number or no enqueued time.
    """
    if event.sequence_number is None or event.enqueued_time is None:
        raise InvalidInputError(
            "expected an event with sequence number and enqueued time, which identify duplicates, got "
            f"`{event.sequence_number}` and `{event.enqueued_time}`; the host sends both in SystemPropertiesArray"
        )
    return RawEvent(event.sequence_number, _aware(event.enqueued_time), event.get_body())


def senders(event: func.EventHubEvent) -> list[str]:
    """Return the distinct ``traceparent`` texts of an event's batch, or none if telemetry is off.

    Azure's own libraries call the property ``Diagnostic-Id``.
    """
    if not enabled():
        return []
    properties = (event.metadata or {}).get("PropertiesArray") or []
    of_events = json.loads(properties) if isinstance(properties, str) else properties
    found = (each.get("traceparent") or each.get("Diagnostic-Id") for each in of_events)
    return [text for text in dict.fromkeys(found) if isinstance(text, str)]


def _aware(time: datetime) -> datetime:
    """Return a time in UTC. The host omits the zone in some cases; the time is in UTC then."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
