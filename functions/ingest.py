"""Event hub trigger of ingestion: readings become windows."""

from __future__ import annotations

import logging
import typing

import azure.functions as func

from functions.events import partition_id, raw_event, senders
from sensorwatch.app import get_product
from sensorwatch.ingestion.records import Partition

__all__ = ["blueprint"]

blueprint = func.Blueprint()
_log = logging.getLogger(__name__)


# Only transient errors propagate (bad readings become dead letters). A batch that is given up is lost, so it is retried
# until it succeeds. The worker reads the annotation, and knows typing.List but not list.
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
    # Hosts may call a function without events, which then has no partition.
    if not events:
        return
    product = get_product()
    partition = Partition(
        product.settings.event_hub_name, product.settings.event_hub_consumer_group, partition_id(events[0])
    )
    counts = product.ingest(partition, [raw_event(event) for event in events], senders(events[0]))
    _log.info("partition %s: %s", partition.partition_id, counts)
