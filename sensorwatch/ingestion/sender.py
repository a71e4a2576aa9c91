"""Sender of readings to the event hub: in the order of time, at any speed."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from opentelemetry.trace import use_span

from sensorwatch.azure.event_hub import open_producer, translate_event_hub_errors
from sensorwatch.errors import InvalidInputError
from sensorwatch.ingestion.decode import TICKS_PER_SECOND, encode
from sensorwatch.ingestion.records import OffsetCheckpoint
from sensorwatch.telemetry import start_span
from sensorwatch.telemetry.tracing import traceparent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from azure.eventhub import EventData, EventDataBatch, EventHubProducerClient
    from opentelemetry.trace import Span

    from sensorwatch.ingestion.records import Reading

__all__ = ["EventHubSender", "open_sender"]

_RETRIES = 5
_MAX_WAITING_READINGS = 20_000
_PACE_SECONDS = 0.2
# Few enough that a span links to one or two ingested batches, many enough to cost nothing.
_EVENTS_PER_SPAN = 50


class EventHubSender:
    """Sender of readings through one producer client; as a context manager it closes the client.

    The readings of a device stay in order: its name is the partition key, and its batches are sent one by one.
    """

    def __init__(
        self,
        client: EventHubProducerClient,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def partition_ids(self) -> list[str]:
        """Return the ids of the hub's partitions.

        Raises
        ------
        TransientError
            The hub can't be reached.
        SettingsError
            The hub refuses access.
        """
        with translate_event_hub_errors():
            return list(self._client.get_partition_ids())

    def last_events(self) -> dict[str, OffsetCheckpoint]:
        """Return the last event of each partition, by partition id; empty partitions are left out.

        Raises
        ------
        TransientError, SettingsError
            As for :meth:`partition_ids`.
        """
        with translate_event_hub_errors():
            found = [self._client.get_partition_properties(each) for each in self._client.get_partition_ids()]
        return {
            each["id"]: OffsetCheckpoint(each["last_enqueued_sequence_number"], each["last_enqueued_time_utc"])
            for each in found
            if not each["is_empty"]
        }

    def send(
        self,
        readings: Iterable[Reading],
        *,
        readings_per_event: int = 1,
        speed: float | None = None,
        progress: Callable[[int], object] = lambda sent: None,
    ) -> int:
        """Send readings; return once the hub has accepted all of them.

        Parameters
        ----------
        readings
            Readings, oldest first.
        readings_per_event
            Readings of a device in one event, as a JSON array if more than one. Several are needed for more than a few
            thousand readings a second.
        speed
            Factor over real time, by the readings' own times; None sends as fast as possible.
        progress
            Called after each batch with the number of readings sent so far.

        Returns
        -------
        int
            Number of readings sent.

        Raises
        ------
        InvalidInputError
            A parameter is out of range, or an event is larger than the hub accepts.
        TransientError
            The hub can't be reached; the text has the number of readings sent before.
        SettingsError
            The hub refuses access.
        """
        if readings_per_event < 1:
            raise InvalidInputError(f"readings_per_event must be at least 1, got `{readings_per_event}`")
        if speed is not None and not speed > 0:
            raise InvalidInputError(f"speed must be above 0, got `{speed}`; leave it out to send as fast as possible")
        shipment = _Shipment(self._client, readings_per_event, progress)
        with translate_event_hub_errors(lambda: f"; {shipment.sent} readings had been sent"):
            for reading in readings if speed is None else self._paced(readings, speed, shipment):
                shipment.add(reading)
            shipment.flush()
        return shipment.sent

    def _paced(self, readings: Iterable[Reading], speed: float, shipment: _Shipment) -> Iterator[Reading]:
        begun, first = self._monotonic(), None
        for reading in readings:
            if first is None:
                first = reading.ticks
            wait = begun + (reading.ticks - first) / TICKS_PER_SECOND / speed - self._monotonic()
            # Waiting before every reading would send each in a batch of its own.
            if wait > _PACE_SECONDS:
                shipment.flush()
                self._sleep(wait)
            yield reading


def open_sender(connection: str | None, namespace: str | None, hub: str) -> EventHubSender:
    """Return a sender to a hub; nothing is connected yet.

    Parameters
    ----------
    connection, namespace, hub
        As for :func:`~sensorwatch.azure.event_hub.open_producer`.

    Raises
    ------
    SettingsError
        Neither connection nor namespace is given, or the connection string can't be parsed.
    """
    return EventHubSender(open_producer(connection, namespace, hub, retries=_RETRIES))


class _Shipment:
    """Readings to send: collected by device into events and batches, which are sent when full."""

    def __init__(
        self, client: EventHubProducerClient, readings_per_event: int, progress: Callable[[int], object]
    ) -> None:
        self.sent = 0
        self._client = client
        self._readings_per_event = readings_per_event
        self._progress = progress
        self._texts: dict[str, list[bytes]] = {}
        self._batches: dict[str, EventDataBatch] = {}
        self._in_batch: dict[str, int] = {}
        self._traces: dict[str, _BatchTrace] = {}
        self._first_ticks: dict[str, int] = {}
        self._last_ticks: dict[str, int] = {}
        self._waiting = 0

    def add(self, reading: Reading) -> None:
        """Add a reading; send batches that are full."""
        texts = self._texts.setdefault(reading.device, [])
        texts.append(encode(reading))
        self._first_ticks.setdefault(reading.device, reading.ticks)
        self._last_ticks[reading.device] = reading.ticks
        self._waiting += 1
        if len(texts) >= self._readings_per_event:
            self._pack(reading.device)
        if self._waiting >= _MAX_WAITING_READINGS:
            self.flush()

    def flush(self) -> None:
        """Send all readings that wait."""
        for device in list(self._texts):
            self._pack(device)
        for device in list(self._batches):
            self._ship(device)

    def _pack(self, device: str) -> None:
        from azure.eventhub import EventData

        texts = self._texts.pop(device)
        first, last = self._first_ticks.pop(device), self._last_ticks[device]
        event = EventData(texts[0] if len(texts) == 1 else b"[" + b", ".join(texts) + b"]")
        batch = self._batches.get(device)
        if batch is not None and not _fits(batch, self._traces[device].mark(event, first)):
            self._ship(device)
            batch = None
        if batch is None:
            trace = _BatchTrace(device)
            batch = self._client.create_batch(partition_key=device)
            if not _fits(batch, trace.mark(event, first)):
                raise InvalidInputError(
                    f"an event with {len(texts)} readings of {device} exceeds the hub's limit of "
                    f"{batch.max_size_in_bytes} bytes; put fewer readings into one event"
                )
            self._batches[device] = batch
            self._traces[device] = trace
            self._in_batch[device] = 0
        self._in_batch[device] += len(texts)
        self._traces[device].packed(last, len(texts))

    def _ship(self, device: str) -> None:
        readings = self._in_batch.pop(device)
        with self._traces.pop(device).sending():
            self._client.send_batch(self._batches.pop(device))
        self._waiting -= readings
        self.sent += readings
        self._progress(self.sent)


class _BatchTrace:
    """Spans of one batch: one for every :data:`_EVENTS_PER_SPAN` events, which carry its context."""

    def __init__(self, device: str) -> None:
        self._attributes: dict[str, str | int] = {"messaging.system": "eventhubs", "sensorwatch.device": device}
        self._spans: list[Span] = []
        self._events = self._readings = 0

    def mark(self, event: EventData, first_ticks: int) -> EventData:
        """Add the trace context to an event whose first reading was taken at ``first_ticks``; return the event."""
        if not self._spans or self._events >= _EVENTS_PER_SPAN:
            attributes = {**self._attributes, "sensorwatch.ticks.first": first_ticks}
            self._spans.append(start_span("send", kind="producer", attributes=attributes))
            self._events = self._readings = 0
        traceparent = traceparent_of(self._spans[-1])
        if traceparent is not None:
            event.properties = {"traceparent": traceparent}
        return event

    def packed(self, last_ticks: int, readings: int) -> None:
        """Record that the event is in the batch, with its number of readings and the time of the last one."""
        self._events += 1
        self._readings += readings
        self._spans[-1].set_attribute("sensorwatch.ticks.last", last_ticks)
        self._spans[-1].set_attribute("sensorwatch.readings", self._readings)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Observe the sending of the batch; its spans end with the context."""
        # The last span may belong to an event that did not fit, and went into the next batch.
        used = self._spans if self._events else self._spans[:-1]
        with ExitStack() as ending:
            for span in used:
                ending.enter_context(use_span(span, end_on_exit=True))
            yield


def _fits(batch: EventDataBatch, event: EventData) -> bool:
    try:
        batch.add(event)
    except ValueError:
        return False
    return True
