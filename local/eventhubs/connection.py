"""Connection of a client: the handshake, the frames, and the sessions on its channels."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, cast

from local.eventhubs.codec import Array, Symbol
from local.eventhubs.frames import (
    AMQP_FRAME,
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_FRAME,
    SASL_HEADER,
    AmqpError,
    Begin,
    Close,
    End,
    Frame,
    Open,
    Performative,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    decode_performative,
    encode_frame,
    split_frames,
)
from local.eventhubs.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.eventhubs.hubs import Hubs

__all__ = ["Connection"]

_LOGGER = logging.getLogger(__name__)
_MAX_FRAME_SIZE = 65_536
_MIN_MAX_FRAME_SIZE = 512
_CHANNEL_MAX = 1023
_HIGH_WATER_BYTES = 1 << 20
_MECHANISMS = ("ANONYMOUS", "PLAIN")


class Connection(asyncio.Protocol):
    """Connection of a client. Input that is not AMQP ends this connection and no other.

    Parameters
    ----------
    hubs
        Event hubs of the broker.
    now_ms
        Current time, in milliseconds since 1970-01-01 UTC.
    open_connections
        Set that contains the connection while it is open.

    Attributes
    ----------
    lost
        Future that is done when the connection has ended.
    """

    def __init__(self, hubs: Hubs, now_ms: Callable[[], int], open_connections: set[Connection]) -> None:
        self.hubs = hubs
        self.now_ms = now_ms
        self.peer_max_frame_size = _MIN_MAX_FRAME_SIZE
        self._open_connections = open_connections
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._sending = False
        self._paused = False
        self._closing = False
        self._is_open = False
        self._awaits_header = True
        # None is a session that has ended. Its further frames are ignored, as the SDK detaches after its End.
        self._sessions: dict[int, Session | None] = {}
        self._idle_timer: asyncio.TimerHandle | None = None
        self._wrote_since_timer = False

    @property
    def writable(self) -> bool:
        """True while the socket accepts more data."""
        return not self._paused and not self._closing and len(self._outgoing) < _HIGH_WATER_BYTES

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call back after the current callback."""
        self._loop.call_soon(callback)

    def write(self, data: bytes) -> None:
        """Send bytes, in one piece with all others that are written in the same turn of the event loop."""
        if self._closing:
            return
        self._outgoing += data
        if not self._sending:
            self._sending = True
            self._loop.call_soon(self._flush)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self._open_connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the sessions of the connection."""
        self._closing = True
        self._open_connections.discard(self)
        self.lost.set_result(None)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._close_sessions()

    def pause_writing(self) -> None:
        """Stop sending, as the peer reads more slowly than it grants credit."""
        self._paused = True

    def resume_writing(self) -> None:
        """Continue to send."""
        self._paused = False
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the peer."""
        if self._closing:
            return
        self._incoming += data
        try:
            while self._take_header() and self._take_frames():
                pass
        except AmqpError as error:
            self.shut(error)

    def shut(self, error: AmqpError | None = None) -> None:
        """Close the connection, and send the peer the error if there is one."""
        if self._closing:
            return
        if self._is_open:
            self.write(encode_frame(0, Close(error=None if error is None else error.described())))
        if error is not None:
            _LOGGER.info("closing a connection: %s", error)
        self._flush()
        self._closing = True
        self._close_sessions()
        self._transport.close()

    def abort(self) -> None:
        """Drop the connection immediately."""
        self._transport.abort()

    def _take_header(self) -> bool:
        """Handle a protocol header if one is due; return false if it is incomplete."""
        if self._awaits_header:
            if len(self._incoming) < len(AMQP_HEADER):
                return False
            self._on_header()
        return True

    def _take_frames(self) -> bool:
        """Handle the complete frames that were received; return true if another protocol header comes next."""
        with contextlib.closing(split_frames(self._incoming, _MAX_FRAME_SIZE)) as frames:
            for frame in frames:
                self._on_frame(frame)
                if self._closing or self._awaits_header:
                    break
        return self._awaits_header and not self._closing

    def _on_header(self) -> None:
        header = bytes(self._incoming[: len(AMQP_HEADER)])
        del self._incoming[: len(AMQP_HEADER)]
        self._awaits_header = False
        if header == SASL_HEADER:
            self.write(SASL_HEADER)
            mechanisms = SaslMechanisms(mechanisms=Array(map(Symbol, _MECHANISMS)))
            self.write(encode_frame(0, mechanisms, kind=SASL_FRAME))
        elif header == AMQP_HEADER:
            self.write(AMQP_HEADER)
        else:
            # AMQP requires that an unknown protocol is answered with a supported one before the connection ends.
            self.write(SASL_HEADER)
            raise AmqpError("amqp:not-implemented", f"the peer does not speak AMQP 1.0: it began with {header!r}")

    def _on_frame(self, frame: Frame) -> None:
        if not frame.body:
            return
        performative, end = decode_performative(frame.body)
        if isinstance(performative, SaslInit):
            self._on_sasl(frame, performative)
        elif frame.kind != AMQP_FRAME:
            raise AmqpError("amqp:connection:framing-error", f"frames of type {frame.kind} are not supported")
        elif isinstance(performative, Open):
            self._on_open(performative)
        elif not self._is_open:
            raise AmqpError("amqp:not-allowed", f"{type(performative).__name__} came before Open")
        elif isinstance(performative, Close):
            self.shut()
        else:
            self._on_session_frame(frame.channel, performative, frame.body[end:])

    def _on_sasl(self, frame: Frame, sasl: SaslInit) -> None:
        if frame.kind != SASL_FRAME or self._is_open:
            raise AmqpError("amqp:not-allowed", "SaslInit is allowed before Open only, in a SASL frame")
        if sasl.mechanism not in _MECHANISMS:
            self.write(encode_frame(0, SaslOutcome(outcome=1), kind=SASL_FRAME))
            raise AmqpError("amqp:unauthorized-access", f"the mechanism `{sasl.mechanism}` is not one of {_MECHANISMS}")
        self.write(encode_frame(0, SaslOutcome(outcome=0), kind=SASL_FRAME))
        self._awaits_header = True

    def _on_open(self, peer: Open) -> None:
        if self._is_open:
            raise AmqpError("amqp:not-allowed", "Open came twice")
        wanted = 0xFFFFFFFF if peer.max_frame_size is None else peer.max_frame_size
        if wanted < _MIN_MAX_FRAME_SIZE:
            raise AmqpError("amqp:invalid-field", f"max-frame-size is {wanted}: expected {_MIN_MAX_FRAME_SIZE} or more")
        # Frames above a megabyte would save nothing.
        self.peer_max_frame_size = min(wanted, 1 << 20)
        self._is_open = True
        answer = Open(container_id="local-eventhubs", max_frame_size=_MAX_FRAME_SIZE, channel_max=_CHANNEL_MAX)
        self.write(encode_frame(0, answer))
        if peer.idle_timeout:
            self._keep_alive(peer.idle_timeout / 1000 / 2)

    def _on_session_frame(self, channel: int, performative: Performative, payload: bytes) -> None:
        if isinstance(performative, Begin):
            if self._sessions.get(channel) is not None or channel > _CHANNEL_MAX:
                raise AmqpError("amqp:not-allowed", f"the channel {channel} is in use or above {_CHANNEL_MAX}")
            self._sessions[channel] = Session(self, channel, performative)
            return
        if channel not in self._sessions:
            raise AmqpError("amqp:not-allowed", f"no session is on the channel {channel}")
        session = self._sessions[channel]
        if session is None:
            return
        if isinstance(performative, End):
            session.close()
            self._sessions[channel] = None
            self.write(encode_frame(channel, End()))
        else:
            try:
                session.handle(performative, payload)
            except AmqpError as error:
                session.close()
                self._sessions[channel] = None
                self.write(encode_frame(channel, End(error=error.described())))

    def _keep_alive(self, interval_seconds: float) -> None:
        if not self._wrote_since_timer:
            self.write(EMPTY_FRAME)
        self._wrote_since_timer = False
        self._idle_timer = self._loop.call_later(interval_seconds, self._keep_alive, interval_seconds)

    def _flush(self) -> None:
        self._sending = False
        if self._outgoing and not self._closing:
            data, self._outgoing = self._outgoing, bytearray()
            self._wrote_since_timer = True
            self._transport.write(data)
            self._wake()

    def _wake(self) -> None:
        if self.writable:
            for session in list(self._sessions.values()):
                if session is not None:
                    session.wake()

    def _close_sessions(self) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            if session is not None:
                session.close()
