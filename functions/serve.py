"""Event hub trigger of real-time scoring: readings are scored as they arrive."""

from __future__ import annotations

import logging
import os
import typing

import azure.functions as func

from functions.events import partition_id, raw_event, senders
from sensorwatch.app import get_product
from sensorwatch.ingestion.records import Partition

__all__ = ["blueprint"]

blueprint = func.Blueprint()
_log = logging.getLogger(__name__)


def serve(events: typing.List[func.EventHubEvent]) -> None:  # noqa: UP006
    """Score a batch of one partition's events."""
    # Hosts may call a function without events, which then has no partition.
    if not events:
        return
    product = get_product()
    group = product.settings.serving_consumer_group or ""
    partition = Partition(product.settings.event_hub_name, group, partition_id(events[0]))
    counts = product.serve(partition, [raw_event(event) for event in events], senders(events[0]))
    _log.info("partition %s: %s", partition.partition_id, counts)


# Without a consumer group the function does not exist, so an app without real-time scoring has no cost from it.
# Decorators run before the settings are validated. As in ingestion, only transient errors propagate.
if _group := os.environ.get("SERVING_CONSUMER_GROUP", "").strip():
    _triggered = blueprint.event_hub_message_trigger(
        arg_name="events",
        event_hub_name="%EVENT_HUB_NAME%",
        connection="EventHub",
        consumer_group=_group,
        cardinality="many",
        data_type="binary",
    )
    _retried = blueprint.retry(
        strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:00:01", maximum_interval="00:00:30"
    )
    blueprint.function_name("serve")(_triggered(_retried(serve)))
