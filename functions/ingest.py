"""Readings from the event hub become windows."""

from __future__ import annotations

import json
import logging
import typing
from datetime import UTC, datetime

import azure.functions as func

from sensorwatch.errors import InvalidInputError
from sensorwatch.records import Partition, RawEvent
from sensorwatch.wiring import wiring

__all__ = ["blueprint"]

blueprint = func.Blueprint()
_log = logging.getLogger(__name__)


# Only faults that pass raise out of the step (bad readings become dead letters), and a batch given up is lost for good:
# so it is retried until it goes through. The worker reads the annotation: it knows typing.List and not list.
@blueprint.function_name("ingest")
@blueprint.event_hub_message_trigger(
    arg_name="events",
    event_hub_name="%EVENT_HUB_NAME%",
    connection="EventHub",
    consumer_group="%EVENT_HUB_CONSUMER_GROUP%",
    cardinality="many",
    data_type="binary",
)
@blueprint.retry(
    strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:00:01", maximum_interval="00:00:30"
)
def ingest(events: typing.List[func.EventHubEvent]) -> None:  # noqa: UP006
    """Ingest a batch of one partition's events."""
    wired = wiring()
    partition = Partition(
        wired.settings.event_hub_name, wired.settings.event_hub_consumer_group, _partition_id(events[0])
    )
    counts = wired.ingest(partition, [_raw(event) for event in events])
    _log.info("partition %s: %s", partition.partition_id, counts)


def _partition_id(event: func.EventHubEvent) -> str:
    """Return the partition's id; hosts send its context as an object or as that object's JSON text."""
    context = (event.metadata or {})["PartitionContext"]
    return str((json.loads(context) if isinstance(context, str) else context)["PartitionId"])


def _raw(event: func.EventHubEvent) -> RawEvent:
    if event.sequence_number is None or event.enqueued_time is None:
        raise InvalidInputError(
            "an event came without the sequence number and enqueued time by which duplicates are known, got "
            f"`{event.sequence_number}` and `{event.enqueued_time}`; the host sends both in SystemPropertiesArray"
        )
    return RawEvent(event.sequence_number, _aware(event.enqueued_time), event.get_body())


def _aware(time: datetime) -> datetime:
    """Return the time in UTC; the host may leave the zone out, and then means UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
