"""Event Hub triggers: the SDK's consumer, checkpoints in blob storage, one batch of a partition at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError
from azure.eventhub.exceptions import EventHubError

from local.functions_host.connections import HOST_STORAGE
from local.functions_host.errors import HostStoppingError
from local.functions_host.event_data import Delivered, Source, by_hand, decode_events, from_sdk

if TYPE_CHECKING:
    from azure.eventhub import CloseReason, EventData
    from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

    from local.functions_host.app import HostedFunction
    from local.functions_host.connections import Connections
    from local.functions_host.host_json import EventHubOptions
    from local.functions_host.host_state import HostState
    from local.functions_host.invoke import Invoker

__all__ = ["EventHubListener"]

_log = logging.getLogger("local.functions_host")

_CHECKPOINTS = "azure-webjobs-eventhub"
# There is only one host on the machine. The partitions of a killed host must be free soon, and a lease that expires
# while this host is busy is renewed.
_BALANCE_SECONDS = 1.0
_LEASE_SECONDS = 3.0
_RESTART_SECONDS = 2.0


@dataclass
class _Claim:
    """Ownership of a partition, from the time the SDK opens the partition until it closes or loses it."""

    lost: bool = False
    newest: tuple[int, datetime] | None = None
    batches: int = 0
    pending: list[EventData] = field(default_factory=list)
    pending_since: float = 0.0

    def add(self, events: list[EventData]) -> None:
        """Add new events; events that the SDK repeats after reconnecting are skipped."""
        for event in events:
            number, enqueued_time = event.sequence_number or 0, event.enqueued_time or datetime.now(UTC)
            # A hub that was created again starts at low numbers, with newer times.
            if self.newest and number <= self.newest[0] and enqueued_time <= self.newest[1]:
                continue
            self.newest = (number, enqueued_time)
            if not self.pending:
                self.pending_since = time.monotonic()
            self.pending.append(event)

    def take(self, options: EventHubOptions) -> list[EventData]:
        """Return the events to deliver now; none until the batch is large enough or has waited long enough."""
        waited = time.monotonic() - self.pending_since
        if len(self.pending) < options.min_batch_size and waited < options.max_wait_seconds:
            return []
        batch = self.pending[: options.max_batch_size]
        self.pending = self.pending[options.max_batch_size :]
        return batch


class EventHubListener:
    """Listener that consumes an event hub for a function.

    Parameters
    ----------
    function
        The function.
    invoker
        Runner of invocations.
    state
        State of the host, for checkpoints.
    connections
        Named connections.
    options
        Options of ``host.json``.
    """

    def __init__(
        self,
        function: HostedFunction,
        invoker: Invoker,
        state: HostState,
        connections: Connections,
        options: EventHubOptions,
    ) -> None:
        self.function = function
        self.ready = False
        self._invoker = invoker
        self._state = state
        self._connections = connections
        self._options = options
        self._connection = str(function.trigger["connection"])
        self._event_hub = str(function.trigger["eventHubName"])
        self._consumer_group = str(function.trigger.get("consumerGroup") or "$Default")
        self._many = str(function.trigger.get("cardinality", "")).lower() == "many"
        self._binary = str(function.trigger.get("dataType", "")).lower() == "binary"
        self._claims: dict[str, _Claim] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._deliveries: set[asyncio.Task[None]] = set()
        self._client: EventHubConsumerClient | None = None
        self._away = False
        self._closing = False

    async def run(self) -> None:
        """Consume until closed or cancelled."""
        await self._state.ensure_container(self._state.storage, _CHECKPOINTS)
        # Only with a minimum above 1, the callback is needed without events, to detect the end of the wait.
        wait = min(1.0, self._options.max_wait_seconds / 2) if self._options.min_batch_size > 1 else None
        while not self._closing:
            store = self._connections.checkpoint_store(HOST_STORAGE, _CHECKPOINTS)
            self._client = self._connections.consumer(
                self._connection,
                self._event_hub,
                self._consumer_group,
                checkpoint_store=store,
                load_balancing_interval=_BALANCE_SECONDS,
                partition_ownership_expiration_interval=_LEASE_SECONDS,
                retry_backoff_max=5,
            )
            try:
                async with store, self._client:
                    await self._client.receive_batch(
                        self._on_batch,
                        max_batch_size=self._options.max_batch_size,
                        max_wait_time=wait,
                        prefetch=self._options.prefetch,
                        starting_position=self._options.initial_position,
                        on_error=self._on_error,
                        on_partition_initialize=self._on_claimed,
                        on_partition_close=self._on_closed,
                    )
            except (EventHubError, AzureError, OSError) as exc:
                self._log_away(exc)
                await asyncio.sleep(_RESTART_SECONDS)

    async def close(self) -> None:
        """Stop receiving and release the partitions."""
        self._closing = True
        if self._client:
            await self._client.close()

    async def fire(self, bodies: list[bytes]) -> None:
        """Call the function with the given events, as if from a partition named ``manual``."""
        source = Source("manual", self._event_hub, self._consumer_group, "manual")
        async with self._invoker.work():
            await self._call(by_hand(bodies, datetime.now(UTC)), source)

    async def _on_claimed(self, context: PartitionContext) -> None:
        self._claims[context.partition_id] = _Claim()
        self.ready = True

    async def _on_closed(self, context: PartitionContext, reason: CloseReason) -> None:
        self._claims[context.partition_id].lost = True
        _log.debug("%s: partition %s closed: %s", self.function.name, context.partition_id, reason)

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        self._log_away(error)

    async def _on_batch(self, context: PartitionContext, events: list[EventData]) -> None:
        claim = self._claims[context.partition_id]
        if events and self._away:
            self._away = False
            _log.info("%s: receiving from event hub %s again", self.function.name, self._event_hub)
        claim.add(events)
        while batch := claim.take(self._options):
            delivery = asyncio.create_task(self._deliver(context, claim, batch))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)
            # The SDK cancels this when the partition is lost. A running function can't be cancelled, so the next claim
            # of the partition waits for it.
            await asyncio.shield(delivery)

    async def _deliver(self, context: PartitionContext, claim: _Claim, batch: list[EventData]) -> None:
        source = Source(context.fully_qualified_namespace, self._event_hub, self._consumer_group, context.partition_id)
        async with self._locks.setdefault(context.partition_id, asyncio.Lock()):
            if claim.lost:
                return
            try:
                async with self._invoker.work():
                    await self._call([from_sdk(event) for event in batch], source)
                    claim.batches += 1
                    if not claim.lost and claim.batches % self._options.batches_per_checkpoint == 0:
                        await context.update_checkpoint(batch[-1])
            except HostStoppingError:
                # Wait forever, as on return the SDK would deliver the next batch and this one would be missing.
                await asyncio.Event().wait()

    async def _call(self, events: list[Delivered], source: Source) -> None:
        for group in [events] if self._many else [[event] for event in events]:
            decode = partial(decode_events, group, source, many=self._many, binary=self._binary)
            await self._invoker.invoke(self.function, decode)

    def _log_away(self, error: Exception) -> None:
        """Log the first error of a series, as the SDK reports every attempt."""
        if not self._away:
            _log.warning(
                "%s: event hub %s is not available, trying again: %s", self.function.name, self._event_hub, error
            )
        self._away = True
