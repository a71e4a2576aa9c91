"""The broker as a server on loopback."""

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
    """Another broker uses the data folder."""


def system_now_ms() -> int:
    """Return the current time, in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


async def serve(
    port: int,
    folder: Path,
    sizes: Mapping[str, int],
    groups: Iterable[str],
    *,
    stop: asyncio.Event,
) -> None:
    """Serve until ``stop`` is set or the process receives SIGTERM or SIGINT.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0 uses a free one. The line that is printed when the broker is ready names the port.
    folder
        Folder of the logs; created if missing.
    sizes
        Number of partitions by hub.
    groups
        Consumer groups besides ``$Default``.
    stop
        Event that ends the broker.

    Raises
    ------
    OSError
        The port is in use, or the folder can't be used.
    FolderInUseError
        Another broker uses the folder.
    LogFormatError
        A file in the folder has another format, or a hub there has more partitions.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    connections: set[Connection] = set()
    hubs: Hubs

    def connect() -> Connection:
        return Connection(hubs, system_now_ms, connections)

    # The port is bound before the folder is locked, so that a second broker with the same arguments names the port. It
    # is listened on only when the logs are open, so that every client that connects is served.
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
                f"another broker uses {folder}: stop it, or give this one another folder with --data"
            ) from exc
        yield


async def _close_all(connections: set[Connection]) -> None:
    if connections:
        lost = [connection.lost for connection in connections]
        for connection in list(connections):
            connection.shut(AmqpError("amqp:connection:forced", "the broker is stopping"))
        await asyncio.wait(lost, timeout=_CLOSE_SECONDS)
    for connection in list(connections):
        connection.abort()
