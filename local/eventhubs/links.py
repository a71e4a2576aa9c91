"""Links, on the broker's side: from producers, to consumers, and of request-and-response nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from local.eventhubs.codec import Array, Described, Symbol
from local.eventhubs.frames import ACCEPTED, AmqpError, Attach, Flow, Transfer, rejected
from local.eventhubs.hubs import parse_address
from local.eventhubs.messages import LastEnqueued, metric_section, outgoing, read_events, read_request
from local.eventhubs.nodes import NODES, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.eventhubs.hubs import Hub, Hubs, Partition

__all__ = ["MAX_MESSAGE_BYTES", "RUNTIME_METRIC", "ConsumerLink", "Link", "LinkSession", "make_link"]

MAX_MESSAGE_BYTES = 1_048_576
RUNTIME_METRIC = Symbol("com.microsoft:enable-receiver-runtime-metric")

_PRODUCER_CREDIT = 1000
_REQUEST_CREDIT = 100
_MAX_WAITING_ANSWERS = 100
_PUMP_EVENTS = 2000
_PUMP_BYTES = 256 * 1024
_EPOCH = "com.microsoft:epoch"
_SELECTOR_FILTER = "apache.org:selector-filter:string"


class LinkSession(Protocol):
    """The methods of a session that its links use."""

    hubs: Hubs
    now_ms: Callable[[], int]
    links: dict[int, Link]

    @property
    def can_send(self) -> bool:
        """True while another delivery can be sent; when this becomes true again, every link is woken."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call back after the current callback, so that other connections get their turn."""

    def transfer(self, handle: int, message: bytes) -> None:
        """Send a settled message."""

    def settle(self, delivery_id: int, outcome: Described) -> None:
        """Send the outcome of a delivery."""

    def grant(self, link: Link, delivery_count: int, credit: int) -> None:
        """Send the credit of a link.

        Parameters
        ----------
        link
            The link.
        delivery_count
            Number of deliveries so far.
        credit
            Number of deliveries that a receiving link accepts, or that a sending link has left.
        """

    def detach(self, link: Link, error: AmqpError) -> None:
        """End a link with an error."""


class Link:
    """The broker's end of a link.

    Parameters
    ----------
    session
        Session of the link.
    attach
        The client's request for the link.
    address
        Address of the broker's end.
    """

    def __init__(self, session: LinkSession, attach: Attach, address: str) -> None:
        self.session = session
        self.handle = attach.handle
        self.attach = attach
        self.address = address
        self.is_open = True

    def opened(self) -> None:
        """Start work, after the attach was answered."""

    def closed(self) -> None:
        """Stop work, as the link has ended."""
        self.is_open = False

    def flow(self, flow: Flow) -> None:
        """Handle a flow of the peer, which grants credit."""

    def transfer(self, transfer: Transfer, payload: bytes) -> None:
        """Handle a message or a part of one."""
        raise AmqpError(
            "amqp:not-allowed", f"the link `{self.attach.name}` is for receiving: no message can be sent on it"
        )

    def wake(self) -> None:
        """Continue, as there may be new events, a larger window or room in the socket."""


class _ReceivingLink(Link):
    """A link that assembles messages, passes them on and grants the sender credit."""

    credit = _PRODUCER_CREDIT

    def __init__(self, session: LinkSession, attach: Attach, address: str) -> None:
        super().__init__(session, attach, address)
        self._delivery_count = attach.initial_delivery_count or 0
        self._left = self.credit
        self._payload = bytearray()
        self._first: Transfer | None = None
        self._too_large = False

    def opened(self) -> None:
        self._regrant()

    def transfer(self, transfer: Transfer, payload: bytes) -> None:
        first = self._first or transfer
        delivery_id = first.delivery_id
        if delivery_id is None:
            raise AmqpError("amqp:invalid-field", "the first transfer of a delivery needs a delivery-id")
        self._first = first
        if len(self._payload) + len(payload) > MAX_MESSAGE_BYTES:
            self._too_large = True
            self._payload.clear()
        elif not self._too_large:
            self._payload += payload
        if transfer.more and not transfer.aborted:
            return
        message, too_large = bytes(self._payload), self._too_large
        self._payload, self._first, self._too_large = bytearray(), None, False
        if not transfer.aborted:
            outcome = self._outcome(message, first.message_format or 0, too_large=too_large)
            if not (first.settled or transfer.settled):
                self.session.settle(delivery_id, outcome)
        self._delivery_count = (self._delivery_count + 1) & 0xFFFFFFFF
        self._left -= 1
        if self._left <= self.credit // 2:
            self._regrant()

    def _outcome(self, message: bytes, message_format: int, *, too_large: bool) -> Described:
        if too_large:
            limit = f"the message is larger than {MAX_MESSAGE_BYTES} bytes"
            return rejected(AmqpError("amqp:link:message-size-exceeded", limit))
        try:
            self._take(message, message_format)
        except AmqpError as error:
            return rejected(error)
        return ACCEPTED

    def _take(self, message: bytes, message_format: int) -> None:
        raise AmqpError("amqp:not-implemented", f"the link `{self.attach.name}` accepts no messages")

    def _regrant(self) -> None:
        self._left = self.credit
        self.session.grant(self, self._delivery_count, self.credit)


class _ProducerLink(_ReceivingLink):
    """A link that stores a producer's events; accepted events have been handed to the operating system."""

    def __init__(
        self, session: LinkSession, attach: Attach, address: str, hub: Hub, partition: Partition | None
    ) -> None:
        super().__init__(session, attach, address)
        self._hub = hub
        self._partition = partition

    def _take(self, message: bytes, message_format: int) -> None:
        key, events = read_events(message, message_format)
        if events:
            (self._partition or self._hub.route(key)).append(events)


class _RequestLink(_ReceivingLink):
    """A link that accepts requests to a node and sends the responses on the link that receives them."""

    credit = _REQUEST_CREDIT

    def _take(self, message: bytes, message_format: int) -> None:
        request = read_request(message)
        for link in self.session.links.values():
            if isinstance(link, _AnswerLink) and link.is_open:
                named = request.reply_to is not None and request.reply_to == link.target
                if named or (request.reply_to is None and link.address == self.address):
                    link.put(answer(self.address, request, self.session.hubs))
                    return
        raise AmqpError("amqp:precondition-failed", f"no link of this session receives the responses of {self.address}")


class _SendingLink(Link):
    """A link that sends, as far as it has credit."""

    def __init__(self, session: LinkSession, attach: Attach, address: str) -> None:
        super().__init__(session, attach, address)
        self._delivery_count = 0
        self._credit = 0

    def flow(self, flow: Flow) -> None:
        seen = self._delivery_count if flow.delivery_count is None else flow.delivery_count
        # Counts wrap at 2**32: a difference just below it is a small negative number, credit that is already used up.
        credit = (seen + (flow.link_credit or 0) - self._delivery_count) & 0xFFFFFFFF
        self._credit = credit if credit < 0x80000000 else 0
        self._send_what_is_there()
        if flow.drain and self._credit:
            self._delivery_count = (self._delivery_count + self._credit) & 0xFFFFFFFF
            self._credit = 0
            self.session.grant(self, self._delivery_count, 0)

    def _send(self, message: bytes) -> None:
        self._credit -= 1
        self._delivery_count = (self._delivery_count + 1) & 0xFFFFFFFF
        self.session.transfer(self.handle, message)

    def _send_what_is_there(self) -> None:
        """Send as much as credit, the window and the socket allow."""


class _AnswerLink(_SendingLink):
    """A link that sends the responses of a node."""

    def __init__(self, session: LinkSession, attach: Attach, address: str) -> None:
        super().__init__(session, attach, address)
        self.target = _address(attach.target)
        self._waiting: list[bytes] = []

    def put(self, message: bytes) -> None:
        """Send a response, or keep it until there is credit."""
        if len(self._waiting) >= _MAX_WAITING_ANSWERS:
            raise AmqpError("amqp:resource-limit-exceeded", f"{_MAX_WAITING_ANSWERS} responses are waiting for credit")
        self._waiting.append(message)
        self._send_what_is_there()

    def wake(self) -> None:
        self._send_what_is_there()

    def _send_what_is_there(self) -> None:
        while self._waiting and self._credit and self.session.can_send:
            self._send(self._waiting.pop(0))


class ConsumerLink(_SendingLink):
    """A link that sends the events of a partition from a position on, as fast as the consumer accepts them.

    Nothing is buffered for a slow consumer: events are read from the log when credit, the session's window and the
    socket allow it.

    Parameters
    ----------
    session, attach, address
        As for :class:`Link`.
    partition
        Partition whose events are sent.
    group
        Consumer group of the link.
    """

    def __init__(self, session: LinkSession, attach: Attach, address: str, partition: Partition, group: str) -> None:
        super().__init__(session, attach, address)
        epoch = (attach.properties or {}).get(_EPOCH)
        if epoch is not None and not isinstance(epoch, int):
            raise AmqpError("amqp:invalid-field", f"{_EPOCH} must be a whole number, got `{epoch!r}`")
        self.epoch: int | None = epoch
        self._partition = partition
        self._group = group
        self._position = partition.start_position(_selector(attach.source))
        self.has_metric = RUNTIME_METRIC in _symbols(attach.desired_capabilities)
        self._pumping = False

    def opened(self) -> None:
        """Become a receiver of the partition; events are sent once there is credit."""
        self._partition.admit(self, self._group)

    def closed(self) -> None:
        """Leave the receivers of the partition."""
        super().closed()
        self._partition.leave(self, self._group)

    def steal(self, description: str) -> None:
        """Detach, because another receiver takes over the partition."""
        self.session.detach(self, AmqpError("amqp:link:stolen", description))

    def wake(self) -> None:
        """Check for new events soon; several appends before that cause one read of the log."""
        if not self._pumping and self._credit:
            self._pumping = True
            self.session.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self.is_open:
            self._send_what_is_there()

    def _send_what_is_there(self) -> None:
        log = self._partition.log
        if not self._credit or not self.session.can_send:
            return
        try:
            records = log.read(self._position, min(self._credit, _PUMP_EVENTS), _PUMP_BYTES)
        except OSError as exc:
            error = AmqpError("amqp:internal-error", f"the log can't be read: {exc.strerror}")
            self.session.detach(self, error)
            return
        metric = self._metric_section() if self.has_metric and records else b""
        for record in records:
            if not self.session.can_send:
                return
            event = outgoing(record.body, record.sequence, log.base + record.position, record.enqueued_ms)
            self._send(metric + event)
            self._position = record.end
        if records and self._position < log.end:
            self.wake()

    def _metric_section(self) -> bytes:
        log, now = self._partition.log, self.session.now_ms()
        last_ms = now if log.last_enqueued_ms is None else log.last_enqueued_ms
        return metric_section(LastEnqueued(log.count - 1, log.base + log.last_position, last_ms, now))


def make_link(session: LinkSession, attach: Attach) -> Link:
    """Create the broker's end of a link that a client attaches.

    Raises
    ------
    AmqpError
        The address does not exist, or the link's properties or filter can't be parsed.
    """
    wanted = _address(attach.source if attach.role else attach.target)
    if not wanted:
        raise AmqpError(
            "amqp:invalid-field", f"the link `{attach.name}` has no {'source' if attach.role else 'target'} address"
        )
    for node in NODES:
        if wanted == node or wanted.endswith("/" + node):
            return (_AnswerLink if attach.role else _RequestLink)(session, attach, node)
    address = parse_address(wanted)
    hub = session.hubs.hub(address.node)
    if not attach.role:
        partition = None if address.partition is None else hub.partition(address.partition)
        return _ProducerLink(session, attach, wanted, hub, partition)
    if address.partition is None or address.consumer_group is None:
        raise AmqpError(
            "amqp:not-found", f"events are received from hub/ConsumerGroups/G/Partitions/N, not from `{wanted}`"
        )
    group = hub.group(address.consumer_group)
    return ConsumerLink(session, attach, wanted, hub.partition(address.partition), group)


def _address(terminus: Described | None) -> str:
    if terminus is not None and isinstance(terminus.value, list) and terminus.value:
        address = terminus.value[0]
        return address if isinstance(address, str) else ""
    return ""


def _selector(source: Described | None) -> str | None:
    fields: Any = source.value if source is not None else []
    filters = fields[7] if len(fields) > 7 else None
    if not isinstance(filters, dict):
        return None
    found = filters.get(_SELECTOR_FILTER)
    value = found.value if isinstance(found, Described) else found
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is not None and not isinstance(value, str):
        raise AmqpError("amqp:invalid-field", f"the selector must be a string, got `{value!r}`")
    return value


def _symbols(value: object) -> list[object]:
    if isinstance(value, Array):
        return list(value)
    return [] if value is None else [value]
