"""Sessions: links by their handles, and the windows of transfers."""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Protocol

from local.eventhubs.codec import Array
from local.eventhubs.frames import (
    AmqpError,
    Attach,
    Begin,
    Detach,
    Disposition,
    Flow,
    Performative,
    Transfer,
    encode_frame,
)
from local.eventhubs.links import MAX_MESSAGE_BYTES, RUNTIME_METRIC, ConsumerLink, Link, make_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.eventhubs.codec import Described
    from local.eventhubs.hubs import Hubs

__all__ = ["Session", "SessionConnection"]

_WINDOW = 65_536
_OUTGOING_WINDOW = 0x7FFFFFFF
_HANDLE_MAX = 255
_MASK = 0xFFFFFFFF

# Head of a transfer frame with all eleven fields in fixed widths, so that one call writes it. The delivery tag is the
# same for every delivery, as deliveries are settled and the SDK keeps each distinct tag forever.
_TRANSFER_HEAD = struct.Struct(">IBBH 3s 3s BI BI 3s B BB 5s")
_TRANSFER_FIELDS_BYTES = _TRANSFER_HEAD.size - 8


class SessionConnection(Protocol):
    """The methods of a connection that its sessions use."""

    hubs: Hubs
    now_ms: Callable[[], int]
    peer_max_frame_size: int

    @property
    def writable(self) -> bool:
        """True while the socket accepts more data."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call back after the current callback."""

    def write(self, data: bytes) -> None:
        """Send complete frames."""


class Session:
    """A session.

    Parameters
    ----------
    connection
        Connection of the session.
    channel
        Channel that the peer chose, which is also used for the answers.
    begin
        The peer's request for the session.
    """

    def __init__(self, connection: SessionConnection, channel: int, begin: Begin) -> None:
        self.hubs = connection.hubs
        self.now_ms = connection.now_ms
        self.links: dict[int, Link] = {}
        self._connection = connection
        self._channel = channel
        self._next_incoming_id = begin.next_outgoing_id
        self._incoming_left = _WINDOW
        self._next_outgoing_id = 0
        self._next_delivery_id = 0
        self._peer_window = begin.incoming_window
        self._backlog: deque[bytes] = deque()
        self._send(
            Begin(
                remote_channel=channel,
                next_outgoing_id=0,
                incoming_window=_WINDOW,
                outgoing_window=_OUTGOING_WINDOW,
                handle_max=_HANDLE_MAX,
            )
        )

    @property
    def can_send(self) -> bool:
        """True while another delivery can be sent."""
        return self._peer_window > 0 and not self._backlog and self._connection.writable

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call back after the current callback."""
        self._connection.call_soon(callback)

    def handle(self, performative: Performative, payload: bytes) -> None:
        """Handle a frame of this session.

        Raises
        ------
        AmqpError
            The session has to end.
        """
        match performative:
            case Transfer():
                self._on_transfer(performative, payload)
            case Flow():
                self._on_flow(performative)
            case Attach():
                self._on_attach(performative)
            case Detach():
                self._on_detach(performative)
            case Disposition():
                pass
            case _:
                raise AmqpError("amqp:not-allowed", f"a session accepts no {type(performative).__name__}")

    def wake(self) -> None:
        """Wake every link."""
        for link in list(self.links.values()):
            link.wake()

    def close(self) -> None:
        """End all links without sending anything, as the session or the connection has ended."""
        for link in self.links.values():
            if link.is_open:
                link.closed()
        self.links.clear()

    def transfer(self, handle: int, message: bytes) -> None:
        """Send a settled message, in as many frames as the peer's frame size requires.

        Frames that exceed the peer's window wait; until they are sent, :attr:`can_send` is false.
        """
        room = self._connection.peer_max_frame_size - 8 - _TRANSFER_FIELDS_BYTES
        delivery_id = self._next_delivery_id
        self._next_delivery_id = (delivery_id + 1) & _MASK
        if len(message) <= room:
            self._backlog.append(self._transfer_head(handle, delivery_id, len(message), more=False) + message)
        else:
            for start in range(0, len(message), room):
                part = message[start : start + room]
                more = start + room < len(message)
                self._backlog.append(self._transfer_head(handle, delivery_id, len(part), more=more) + part)
        self._send_backlog()

    def settle(self, delivery_id: int, outcome: Described) -> None:
        """Send the outcome of a delivery."""
        self._send(
            Disposition(role=True, first=delivery_id, last=delivery_id, settled=True, state=outcome, batchable=False)
        )

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
        self._send_flow(handle=link.handle, delivery_count=delivery_count, link_credit=credit)

    def detach(self, link: Link, error: AmqpError) -> None:
        """End a link with an error; frames that the peer sends on it before it answers are ignored."""
        if link.is_open:
            link.closed()
            self._send(Detach(handle=link.handle, closed=True, error=error.described()))

    def _on_attach(self, attach: Attach) -> None:
        present = self.links.get(attach.handle)
        if attach.handle > _HANDLE_MAX or (present is not None and present.is_open):
            raise AmqpError(
                "amqp:session:handle-in-use", f"the handle {attach.handle} is in use or above {_HANDLE_MAX}"
            )
        try:
            link = make_link(self, attach)
        except AmqpError as error:
            self._refuse(attach, error)
            return
        metric = isinstance(link, ConsumerLink) and link.has_metric
        self._answer(attach, Array([RUNTIME_METRIC]) if metric else None)
        self.links[attach.handle] = link
        try:
            link.opened()
        except AmqpError as error:
            self.detach(link, error)

    def _refuse(self, attach: Attach, error: AmqpError) -> None:
        link = Link(self, attach, "")
        link.is_open = False
        self.links[attach.handle] = link
        self._answer(attach, None)
        self._send(Detach(handle=attach.handle, closed=True, error=error.described()))

    def _answer(self, attach: Attach, capabilities: Array | None) -> None:
        self._send(
            Attach(
                name=attach.name,
                handle=attach.handle,
                role=not attach.role,
                snd_settle_mode=attach.snd_settle_mode,
                rcv_settle_mode=attach.rcv_settle_mode,
                source=attach.source,
                target=attach.target,
                initial_delivery_count=0 if attach.role else None,
                max_message_size=MAX_MESSAGE_BYTES,
                offered_capabilities=capabilities,
            )
        )

    def _on_detach(self, detach: Detach) -> None:
        link = self._link(detach.handle)
        del self.links[detach.handle]
        if link.is_open:
            link.closed()
            self._send(Detach(handle=detach.handle, closed=detach.closed or False))

    def _on_flow(self, flow: Flow) -> None:
        seen = 0 if flow.next_incoming_id is None else flow.next_incoming_id
        window = (seen + flow.incoming_window - self._next_outgoing_id) & _MASK
        # Counts wrap at 2**32: a difference just below it is a small negative number.
        self._peer_window = window if window < 0x80000000 else 0
        self._send_backlog()
        if flow.handle is None:
            self.wake()
        else:
            link = self._link(flow.handle)
            if link.is_open:
                self._guarded(link, lambda: link.flow(flow))
            # All links share the window, so others may have waited for this flow too.
            self.wake()
        if flow.echo:
            self._send_flow()

    def _on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) & _MASK
        self._incoming_left -= 1
        link = self._link(transfer.handle)
        if link.is_open:
            self._guarded(link, lambda: link.transfer(transfer, payload))
        if self._incoming_left <= _WINDOW // 2:
            self._send_flow()

    def _guarded(self, link: Link, action: Callable[[], None]) -> None:
        try:
            action()
        except AmqpError as error:
            self.detach(link, error)

    def _link(self, handle: int) -> Link:
        try:
            return self.links[handle]
        except KeyError:
            raise AmqpError("amqp:session:unattached-handle", f"no link has the handle {handle}") from None

    def _send_flow(
        self, handle: int | None = None, delivery_count: int | None = None, link_credit: int | None = None
    ) -> None:
        self._incoming_left = _WINDOW
        self._send(
            Flow(
                next_incoming_id=self._next_incoming_id,
                incoming_window=_WINDOW,
                next_outgoing_id=self._next_outgoing_id,
                outgoing_window=_OUTGOING_WINDOW,
                handle=handle,
                delivery_count=delivery_count,
                link_credit=link_credit,
            )
        )

    def _send_backlog(self) -> None:
        while self._backlog and self._peer_window > 0:
            self._connection.write(self._backlog.popleft())
            self._next_outgoing_id = (self._next_outgoing_id + 1) & _MASK
            self._peer_window -= 1

    def _transfer_head(self, handle: int, delivery_id: int, size: int, *, more: bool) -> bytes:
        return _TRANSFER_HEAD.pack(
            *(8 + _TRANSFER_FIELDS_BYTES + size, 2, 0, self._channel),
            b"\x00\x53\x14",
            bytes((0xC0, _TRANSFER_FIELDS_BYTES - 5, 11)),
            *(0x70, handle),
            *(0x70, delivery_id),
            b"\xa0\x01\x00",
            0x43,
            *(0x41, 0x41 if more else 0x42),
            b"\x40\x40\x40\x40\x40",
        )

    def _send(self, performative: Performative) -> None:
        self._connection.write(encode_frame(self._channel, performative))
