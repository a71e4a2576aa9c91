"""A connection of the broker, frame by frame: credit, windows, frame sizes, idle time, and what breaks the rules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from local.eventhubs.codec import Described, Long, Symbol, ULong, encode, encode_described
from local.eventhubs.connection import Connection
from local.eventhubs.frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_FRAME,
    SASL_HEADER,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Performative,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Transfer,
    decode_performative,
    encode_frame,
    split_frames,
)
from local.eventhubs.hubs import Hubs
from local.eventhubs.messages import BATCH_FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

_NOW_MS = 1_700_000_000_000
_DATA = b"\x00\x53\x75"


class _Socket:
    """Transport as a connection sees it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.written = asyncio.Event()
        self.is_closed = False

    def set_write_buffer_limits(self, high: int) -> None:
        assert high > 0

    def write(self, data: bytes) -> None:
        self.sent += data
        self.written.set()

    def close(self) -> None:
        self.is_closed = True


class Peer:
    """A client that speaks in single frames."""

    def __init__(self, hubs: Hubs, max_frame_size: int = 65_536, **opening: Any) -> None:
        self.socket = _Socket()
        self.connection = Connection(hubs, lambda: _NOW_MS, set())
        self.connection.connection_made(cast("asyncio.Transport", self.socket))
        self._opening = Open(container_id="test", max_frame_size=max_frame_size, **opening)
        self._handle = 0

    async def said(self) -> list[tuple[Performative, bytes]]:
        """Give what the broker has sent since the last time, when it has nothing more to do."""
        for _ in range(20):
            await asyncio.sleep(0)
        frames = []
        for frame in split_frames(self.socket.sent, 1 << 20):
            if frame.body:
                performative, end = decode_performative(frame.body)
                frames.append((performative, frame.body[end:]))
        assert not self.socket.sent
        return frames

    def say(self, *performatives: Performative, payload: bytes = b"") -> None:
        for performative in performatives:
            body = performative.encode() + payload
            head = (len(body) + 8).to_bytes(4, "big") + b"\x02\x00\x00\x01"
            self.connection.data_received(head + body)

    async def open(self, *, window: int = 1000) -> None:
        self.connection.data_received(AMQP_HEADER)
        await asyncio.sleep(0)
        self.say(self._opening)
        self.say(Begin(next_outgoing_id=0, incoming_window=window, outgoing_window=1000))
        await asyncio.sleep(0)
        assert self.socket.sent.startswith(AMQP_HEADER)
        del self.socket.sent[: len(AMQP_HEADER)]
        assert [type(performative) for performative, _ in await self.said()] == [Open, Begin]

    async def attach(self, address: str, *, receives: bool, **more: Any) -> list[Performative]:
        end = Described(ULong(0x28 if receives else 0x29), [address])
        other = Described(ULong(0x29 if receives else 0x28), ["here"])
        self.say(
            Attach(
                name=f"link-{self._handle}",
                handle=self._handle,
                role=receives,
                source=end if receives else other,
                target=other if receives else end,
                initial_delivery_count=None if receives else 0,
                **more,
            )
        )
        self._handle += 1
        return [performative for performative, _ in await self.said()]

    async def send(self, handle: int, payload: bytes, **more: Any) -> Disposition:
        fields = {"delivery_id": 0, "delivery_tag": b"t", "message_format": 0, "settled": False} | more
        self.say(Transfer(handle=handle, **fields), payload=payload)
        ((disposition, _),) = [frame for frame in await self.said() if isinstance(frame[0], Disposition)]
        assert isinstance(disposition, Disposition)
        return disposition

    async def grant(
        self, handle: int, credit: int, *, seen: int = 0, window: int = 1000, taken: int = 0, **more: Any
    ) -> list[bytes]:
        self.say(
            Flow(
                next_incoming_id=taken,
                incoming_window=window,
                next_outgoing_id=0,
                outgoing_window=1000,
                handle=handle,
                delivery_count=seen,
                link_credit=credit,
                **more,
            )
        )
        return [payload for performative, payload in await self.said() if isinstance(performative, Transfer)]


@pytest.fixture
def hubs(tmp_path: Path) -> Iterator[Hubs]:
    hubs = Hubs(tmp_path, {"readings": 1}, [], lambda: _NOW_MS)
    yield hubs
    hubs.close()


def _message(body: bytes) -> bytes:
    return _DATA + encode(body)


def _fill(hubs: Hubs, *bodies: bytes) -> None:
    head = b"\x00\x53\x72\xd1" + (4).to_bytes(4, "big") + (0).to_bytes(4, "big")
    hubs.hub("readings").partitions[0].append([head + _message(body) for body in bodies])


def _error(performative: Performative) -> str:
    error = getattr(performative, "error", None) or performative.state.value[0]  # type: ignore[attr-defined]
    return str(error.value[0])


def _play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


_CONSUMER = "amqps://127.0.0.1:5672/readings/ConsumerGroups/$Default/Partitions/0"
_PRODUCER = "amqps://127.0.0.1:5672/readings"


def test_the_log_in_comes_first_and_every_list_is_whole(hubs: Hubs) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        peer.connection.data_received(SASL_HEADER)
        await asyncio.sleep(0)
        assert peer.socket.sent.startswith(SASL_HEADER)
        del peer.socket.sent[:8]
        ((offered, _),) = await peer.said()
        assert isinstance(offered, SaslMechanisms)
        login = encode_frame(0, SaslInit(mechanism="ANONYMOUS"), kind=SASL_FRAME)
        for byte in login + AMQP_HEADER:
            peer.connection.data_received(bytes((byte,)))
        await asyncio.sleep(0)
        assert peer.socket.sent.endswith(AMQP_HEADER)
        del peer.socket.sent[-8:]
        ((outcome, _),) = await peer.said()
        assert isinstance(outcome, SaslOutcome)
        peer.say(Open(container_id="test"))
        await asyncio.sleep(0)
        assert peer.socket.sent[8:13] == b"\x00\x53\x10\xc0" + peer.socket.sent[12:13]
        assert peer.socket.sent[13] == 10

    _play(scene())


def test_no_more_events_are_sent_than_there_is_credit_for(hubs: Hubs) -> None:
    async def scene() -> None:
        _fill(hubs, *(b"%d" % number for number in range(10)))
        peer = Peer(hubs)
        await peer.open()
        await peer.attach(_CONSUMER, receives=True)
        got = await peer.grant(0, 3)
        assert [payload[-1:] for payload in got] == [b"0", b"1", b"2"]
        assert await peer.grant(0, 3, seen=0) == []
        got = await peer.grant(0, 3, seen=2)
        assert [payload[-1:] for payload in got] == [b"3", b"4"]

    _play(scene())


def test_a_drained_link_gives_back_unused_credit(hubs: Hubs) -> None:
    async def scene() -> None:
        _fill(hubs, b"a")
        peer = Peer(hubs)
        await peer.open()
        await peer.attach(_CONSUMER, receives=True)
        peer.say(
            Flow(
                next_incoming_id=0,
                incoming_window=9,
                next_outgoing_id=0,
                outgoing_window=9,
                handle=0,
                delivery_count=0,
                link_credit=5,
                drain=True,
            )
        )
        (transfer, _), (flow, _) = await peer.said()
        assert isinstance(transfer, Transfer)
        assert isinstance(flow, Flow)
        assert (flow.delivery_count, flow.link_credit) == (5, 0)

    _play(scene())


def test_a_large_event_comes_in_frames_that_the_peer_takes_and_waits_for_its_window(hubs: Hubs) -> None:
    async def scene() -> None:
        _fill(hubs, b"x" * 2000, b"y")
        peer = Peer(hubs, max_frame_size=512)
        await peer.open(window=2)
        await peer.attach(_CONSUMER, receives=True)
        first = await peer.grant(0, 10, window=2)
        assert len(first) == 2
        rest = await peer.grant(0, 10, window=100, taken=2)
        assert max(map(len, first + rest)) <= 512
        message, last = b"".join(first + rest[:-1]), rest[-1]
        assert message.endswith(b"x" * 2000)
        assert last.endswith(b"y")

    _play(scene())


def test_nothing_is_read_for_a_peer_whose_socket_is_full(hubs: Hubs) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        await peer.attach(_CONSUMER, receives=True)
        await peer.grant(0, 100)
        peer.connection.pause_writing()
        _fill(hubs, b"a", b"b")
        assert await peer.said() == []
        peer.connection.resume_writing()
        assert [payload[-1:] for _, payload in await peer.said()] == [b"a", b"b"]

    _play(scene())


def test_a_message_in_parts_is_kept_whole_and_an_aborted_one_not_at_all(hubs: Hubs) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        await peer.attach(_PRODUCER, receives=False)
        whole = _message(b"z" * 1000)
        start = Transfer(handle=0, delivery_id=0, delivery_tag=b"t", message_format=0, settled=False, more=True)
        peer.say(start, payload=whole[:400])
        peer.say(Transfer(handle=0, more=True), payload=whole[400:700])
        peer.say(Transfer(handle=0), payload=whole[700:])
        peer.say(start, payload=b"half")
        peer.say(Transfer(handle=0, aborted=True))
        assert len([frame for frame in await peer.said() if isinstance(frame[0], Disposition)]) == 1
        log = hubs.hub("readings").partitions[0].log
        assert log.count == 1
        assert log.read(log.start, 1, 10_000)[0].body.endswith(b"z" * 1000)

    _play(scene())


@pytest.mark.parametrize(
    ("payload", "message_format", "condition"),
    [
        pytest.param(b"\x01\x02\x03", 0, "amqp:decode-error", id="no sections"),
        pytest.param(_DATA + b"\xa0\xff", 0, "amqp:decode-error", id="cut short"),
        pytest.param(b"\x00\x53\x72\xc1\x01", 0, "amqp:decode-error", id="annotations cut short"),
        pytest.param(b"\x00\x53\x72\xa1\x01x", 0, "amqp:decode-error", id="annotations that are no map"),
        pytest.param(b"\x00\x53\x42\x40", 0, "amqp:decode-error", id="an unknown section"),
        pytest.param(_message(b"\xff"), BATCH_FORMAT, "amqp:decode-error", id="a bad event in a batch"),
        pytest.param(_message(b"x" * 65_000) * 17, 0, "amqp:link:message-size-exceeded", id="too large"),
    ],
)
def test_a_message_that_can_not_be_kept_is_rejected_and_the_link_goes_on(
    hubs: Hubs, payload: bytes, message_format: int, condition: str
) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        await peer.attach(_PRODUCER, receives=False)
        for start in range(0, len(payload), 60_000):
            more = start + 60_000 < len(payload)
            part = payload[start : start + 60_000]
            peer.say(
                Transfer(
                    handle=0, delivery_id=0, delivery_tag=b"t", message_format=message_format, settled=False, more=more
                ),
                payload=part,
            )
        dispositions = [frame[0] for frame in await peer.said() if isinstance(frame[0], Disposition)]
        assert [_error(disposition) for disposition in dispositions] == [condition]
        assert hubs.hub("readings").partitions[0].log.count == 0
        accepted = await peer.send(0, _message(b"good"))
        assert accepted.state.descriptor == 0x24  # type: ignore[attr-defined]

    _play(scene())


@pytest.mark.parametrize(
    ("address", "more", "condition"),
    [
        ("nowhere/ConsumerGroups/$Default/Partitions/0", {}, "amqp:not-found"),
        ("readings/ConsumerGroups/nobody/Partitions/0", {}, "amqp:not-found"),
        ("readings/ConsumerGroups/$Default/Partitions/7", {}, "amqp:not-found"),
        ("readings/and/more", {}, "amqp:not-found"),
        ("readings", {}, "amqp:not-found"),
        ("", {}, "amqp:invalid-field"),
        (_CONSUMER, {"properties": {Symbol("com.microsoft:epoch"): "high"}}, "amqp:invalid-field"),
    ],
)
def test_a_link_to_what_is_not_there_is_answered_and_detached(
    hubs: Hubs, address: str, more: dict[str, Any], condition: str
) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        attach, detach = await peer.attach(address, receives=True, **more)
        assert isinstance(attach, Attach)
        assert isinstance(detach, Detach)
        assert (detach.closed, _error(detach)) == (True, condition)
        assert await peer.grant(0, 10) == []
        peer.say(Detach(handle=0, closed=True))
        assert await peer.said() == []

    _play(scene())


@pytest.mark.parametrize(
    ("selector", "condition"),
    [
        ("amqp.annotation.x-opt-sequence-number > '9'", "com.microsoft:argument-out-of-range"),
        ("amqp.annotation.x-opt-offset > 'here'", "amqp:invalid-field"),
        ("anything else", "amqp:invalid-field"),
    ],
)
def test_a_selector_that_means_nothing_here_is_refused(hubs: Hubs, selector: str, condition: str) -> None:
    name = Symbol("apache.org:selector-filter:string")

    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        fields: list[object] = [_CONSUMER, *[None] * 6, {name: Described(name, selector)}]
        source = Described(ULong(0x28), fields)
        peer.say(Attach(name="link", handle=0, role=True, source=source, target=Described(ULong(0x29), ["here"])))
        _, (detach, _) = await peer.said()
        assert _error(detach) == condition

    _play(scene())


def test_an_epoch_evicts_equal_and_lower_ones_and_frees_the_partition_when_it_leaves(hubs: Hubs) -> None:
    def epoch(level: int) -> dict[Symbol, Long]:
        return {Symbol("com.microsoft:epoch"): Long(level)}

    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        assert len(await peer.attach(_CONSUMER, receives=True)) == 1
        answers = await peer.attach(_CONSUMER, receives=True, properties=epoch(0))
        stolen = next(answer for answer in answers if isinstance(answer, Detach))
        assert (stolen.handle, _error(stolen)) == (0, "amqp:link:stolen")
        _, refused = await peer.attach(_CONSUMER, receives=True)
        assert _error(refused) == "amqp:link:stolen"
        peer.say(Detach(handle=1, closed=True))
        await peer.said()
        assert len(await peer.attach(_CONSUMER, receives=True)) == 1

    _play(scene())


def test_a_producer_is_given_credit_again_before_it_runs_out(hubs: Hubs) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        _, flow = await peer.attach(_PRODUCER, receives=False)
        assert isinstance(flow, Flow)
        assert flow.link_credit == 1000
        for number in range(500):
            peer.say(Transfer(handle=0, delivery_id=number, delivery_tag=b"t", settled=True), payload=_message(b"a"))
        (again, _), *more = await peer.said()
        assert isinstance(again, Flow)
        assert (again.delivery_count, again.link_credit, more) == (500, 1000, [])

    _play(scene())


def test_an_idle_peer_hears_from_the_broker(hubs: Hubs) -> None:
    async def scene() -> None:
        peer = Peer(hubs, idle_timeout=20)
        await peer.open()
        peer.socket.written.clear()
        async with asyncio.timeout(5):
            await peer.socket.written.wait()
        assert peer.socket.sent == EMPTY_FRAME
        peer.connection.connection_lost(None)

    _play(scene())


def test_frames_for_an_ended_session_are_ignored(hubs: Hubs) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        peer.say(End(), Detach(handle=0, closed=True))
        ((ended, _),) = await peer.said()
        assert isinstance(ended, End)
        assert not peer.socket.is_closed
        peer.say(Begin(next_outgoing_id=0, incoming_window=1, outgoing_window=1))
        ((begun, _),) = await peer.said()
        assert isinstance(begun, Begin)

    _play(scene())


@pytest.mark.parametrize(
    ("action", "condition"),
    [
        (lambda peer: peer.say(Transfer(handle=9, delivery_id=0)), "amqp:session:unattached-handle"),
        (lambda peer: peer.say(Attach(name="x", handle=0, role=True)), "amqp:session:handle-in-use"),
    ],
    ids=["an unknown handle", "a handle in use"],
)
def test_a_broken_rule_of_a_session_ends_the_session(
    hubs: Hubs, action: Callable[[Peer], None], condition: str
) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        await peer.attach(_PRODUCER, receives=False)
        action(peer)
        (ended, _) = (await peer.said())[-1]
        assert isinstance(ended, End)
        assert _error(ended) == condition
        assert not peer.socket.is_closed

    _play(scene())


@pytest.mark.parametrize(
    ("body", "condition"),
    [
        pytest.param(b"\xff\xff", "amqp:decode-error", id="no AMQP"),
        pytest.param(encode("text"), "amqp:decode-error", id="no described list"),
        pytest.param(encode_described(0x99, []), "amqp:not-implemented", id="an unknown performative"),
        pytest.param(encode_described(0x12, ["name"]), "amqp:invalid-field", id="an attach without a handle"),
        pytest.param(encode_described(0x12, [1.5]), "amqp:decode-error", id="an attach whose name is a number"),
        pytest.param(encode_described(0x24, [None] * 20), "amqp:not-implemented", id="an outcome as a performative"),
        pytest.param(encode_described(0x18, [None, None]), "amqp:decode-error", id="a field too many"),
        pytest.param(encode_described(0x10, ["again"]), "amqp:not-allowed", id="a second open"),
    ],
)
def test_a_frame_that_means_nothing_closes_the_connection_with_the_reason(
    hubs: Hubs, body: bytes, condition: str
) -> None:
    async def scene() -> None:
        peer = Peer(hubs)
        await peer.open()
        peer.connection.data_received((len(body) + 8).to_bytes(4, "big") + b"\x02\x00\x00\x01" + body)
        (closed, _) = (await peer.said())[-1]
        assert isinstance(closed, Close)
        assert _error(closed) == condition
        assert peer.socket.is_closed

    _play(scene())
