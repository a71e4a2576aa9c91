"""Alerts as CloudEvents in an event hub, for stream processing and for receivers that are not always online."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sensorwatch.alerts.sinks.cloud_events import CONTENT_TYPE, cloud_event
from sensorwatch.azure.event_hub import open_producer, translate_event_hub_errors

if TYPE_CHECKING:
    from azure.eventhub import EventHubProducerClient

    from sensorwatch.alerts.message import AlertMessage

__all__ = ["EventHubSink"]


class EventHubSink:
    """Sends each message as one event. Messages of one alert share a partition and so stay in order.

    The idempotency key is the message id, the property ``key``, and the CloudEvents id in the body.

    Parameters
    ----------
    connection
        Connection string; None: the identity of the process is used.
    namespace
        Host name of the namespace, used without a connection string.
    hub
        Name of the event hub.
    timeout_seconds
        Time limit of one message, in seconds.
    """

    name = "event-hub"
    waits = True

    def __init__(self, connection: str | None, namespace: str | None, hub: str, *, timeout_seconds: float) -> None:
        self._connection = connection
        self._namespace = namespace
        self._hub = hub
        self._timeout_seconds = timeout_seconds
        self._client: EventHubProducerClient | None = None
        self._opening = threading.Lock()

    def send(self, message: AlertMessage) -> None:
        """Send one message; return when the hub has accepted it.

        Raises
        ------
        TransientError, SettingsError
            The hub is unavailable, or refuses access.
        """
        from azure.eventhub import EventData

        event = EventData(cloud_event(message))
        event.content_type = CONTENT_TYPE
        event.message_id = message.key
        event.properties = {"key": message.key, "event": str(message.payload["event"])}
        if message.traceparent:
            event.properties["traceparent"] = message.traceparent
        with translate_event_hub_errors():
            client = self._producer()
            batch = client.create_batch(partition_key=message.subject)
            batch.add(event)
            client.send_batch(batch, timeout=self._timeout_seconds)

    def _producer(self) -> EventHubProducerClient:
        with self._opening:
            if self._client is None:
                # The outbox retries; retries of the client would only hide that the hub is unavailable.
                self._client = open_producer(
                    self._connection, self._namespace, self._hub, retries=0, timeout_seconds=self._timeout_seconds
                )
            return self._client

    def close(self) -> None:
        """Close the connection."""
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None
