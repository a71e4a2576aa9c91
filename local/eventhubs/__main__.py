"""The command ``python -m local.eventhubs``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import re
import sys
from pathlib import Path

from local.eventhubs.hubs import DEFAULT_CONSUMER_GROUP
from local.eventhubs.log import LogFormatError
from local.eventhubs.server import FolderInUseError, serve
from local.process import EXIT_PORT_IN_USE, EXIT_UNUSABLE, exit_with_parent

_MAX_PARTITIONS = 2048


def main() -> int:
    """Run the broker until SIGTERM or SIGINT, and return the exit code.

    0: stopped. 2: wrong arguments. 3: the port is in use. 4: the data folder can't be used.
    """
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(_run(arguments))
    except (LogFormatError, FolderInUseError) as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_UNUSABLE
    except OSError as exc:
        if exc.errno in (errno.EADDRINUSE, errno.EACCES) and exc.filename is None:
            sys.stderr.write(
                f"port {arguments.port} on 127.0.0.1 is in use: stop the program that listens there, or change --port\n"
            )
            return EXIT_PORT_IN_USE
        sys.stderr.write(f"the data folder {arguments.data} can't be used: {exc}\n")
        return EXIT_UNUSABLE
    return 0


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    if arguments.exit_with_parent:
        loop = asyncio.get_running_loop()

        def stop_soon() -> None:
            # The loop is closed if the broker has already stopped.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)

        exit_with_parent(stop_soon)
    await serve(arguments.port, arguments.data, dict(arguments.hub), arguments.consumer_group, stop=stop)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.eventhubs", description="An Event Hubs broker for one machine."
    )
    parser.add_argument("--port", type=_port, required=True, help="port on 127.0.0.1; 0 uses a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder of the logs; created if missing")
    parser.add_argument(
        "--hub",
        type=_hub,
        action="append",
        required=True,
        metavar="NAME:PARTITIONS",
        help="an event hub; can be repeated",
    )
    parser.add_argument(
        "--consumer-group",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a consumer group of every hub, besides {DEFAULT_CONSUMER_GROUP}; can be repeated",
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got `{text}`")
    return int(text)


def _hub(text: str) -> tuple[str, int]:
    name, _, size = text.rpartition(":")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}", name) or not size.isdecimal():
        raise argparse.ArgumentTypeError(f"expected NAME:PARTITIONS, for example readings:4, got `{text}`")
    if not 1 <= int(size) <= _MAX_PARTITIONS:
        raise argparse.ArgumentTypeError(f"expected 1 to {_MAX_PARTITIONS} partitions, got `{size}`")
    return name, int(size)


if __name__ == "__main__":
    sys.exit(main())
