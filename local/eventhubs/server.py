"""The broker as a server: listens on loopback until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import signal
import sys
import time
from typing import TYPE_CHECKING

from local.eventhubs.connection import Connection
from local.eventhubs.frames import AmqpError
from local.eventhubs.hubs import Hubs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["FolderInUseError", "serve"]

_CLOSE_SECONDS = 0.3


class FolderInUseError(Exception):
    """Another broker works in the data folder."""


def system_now_ms() -> int:
    """Give the time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


async def serve(
    port: int,
    folder: Path,
    sizes: Mapping[str, int],
    groups: Iterable[str],
    *,
    stop: asyncio.Event,
) -> None:
    """Serve until ``stop`` is set or SIGTERM or SIGINT comes.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0 takes a free one. The line printed when the port accepts names it.
    folder
        Where the logs are; made if it is not there.
    sizes
        Number of partitions by hub.
    groups
        Consumer groups beside ``$Default``.
    stop
        Ends the broker when it is set.

    Raises
    ------
    OSError
        The port can't be listened on, or the folder can't be used.
    FolderInUseError
        Another broker works in the folder.
    LogFormatError
        The folder holds something else, or a hub with more partitions.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections: set[Connection] = set()
    hubs: Hubs

    def connect() -> Connection:
        return Connection(hubs, system_now_ms, connections)

    # The port is claimed before the folder, so that a second broker with the same arguments names the port, and is
    # listened on only when the logs are open: a client that gets through is served.
    server = await loop.create_server(connect, "127.0.0.1", port, start_serving=False)
    with contextlib.ExitStack() as stack:
        stack.callback(server.close)
        stack.enter_context(_locked(folder))
        hubs = Hubs(folder, sizes, groups, system_now_ms)
        stack.callback(hubs.close)
        await server.start_serving()
        bound = server.sockets[0].getsockname()[1]
        sys.stdout.write(f"Event Hubs broker on 127.0.0.1:{bound}: {hubs.summary}\n")
        sys.stdout.flush()
        await stop.wait()
        server.close()
        await _close_all(connections)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise FolderInUseError(
                f"another broker works in {folder}: stop it, or give this one a folder of its own"
            ) from exc
        yield


async def _close_all(connections: set[Connection]) -> None:
    if connections:
        lost = [connection.lost for connection in connections]
        for connection in list(connections):
            connection.shut(AmqpError("amqp:connection:forced", "the broker stops"))
        await asyncio.wait(lost, timeout=_CLOSE_SECONDS)
    for connection in list(connections):
        connection.abort()
