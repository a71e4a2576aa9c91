"""The command ``python -m local.batch``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from local.batch.api import create_app
from local.batch.auth import SharedKey
from local.batch.runner import KEY_VARIABLE, Account
from local.batch.scheduler import Options, Scheduler
from local.batch.state import DataInUseError, State
from local.process import EXIT_PORT_IN_USE, EXIT_UNUSABLE, PortInUseError, exit_with_parent, require_free_port

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator, Sequence

    from starlette.applications import Starlette

__all__ = ["main"]

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 1


class _Server(uvicorn.Server):
    """A server that prints when it is ready and keeps its own exit code after a signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own version raises the signal again at the end, which would end the process before the state is
        # closed.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            sys.stdout.write(f"{self.config.app.state.greeting}\n")  # type: ignore[union-attr]
            sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until SIGTERM or SIGINT, and return the exit code.

    3: the port is in use. 4: the key or the folder can't be used, or the scheduler failed.
    """
    options = _parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        key = SharedKey(options.account, os.environ.get(KEY_VARIABLE, ""))
    except ValueError as exc:
        sys.stderr.write(f"{KEY_VARIABLE}: {exc}; set this environment variable to the account's key\n")
        return EXIT_UNUSABLE
    try:
        require_free_port(options.port, "--port (or the port in BATCH_ACCOUNT_URL)")
        state = State(options.data.resolve())
    except PortInUseError as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_PORT_IN_USE
    except DataInUseError as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_UNUSABLE
    return asyncio.run(_serve(options, key, state))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.batch", description="A Batch service for one machine.")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="folder of the state and the tasks' directories")
    parser.add_argument("--account", required=True, help=f"name of the account; its key is {KEY_VARIABLE}")
    parser.add_argument(
        "--autoscale-seconds",
        type=float,
        default=2.0,
        help="seconds that stand for 5 minutes, the shortest interval between autoscale evaluations on Azure",
    )
    parser.add_argument("--node-start-seconds", type=float, default=0.5, help="seconds that a node takes to start")
    parser.add_argument(
        "--max-slots", type=int, default=os.cpu_count() or 1, help="limit of the task slots in use, over all pools"
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return parser.parse_args(arguments)


async def _serve(options: argparse.Namespace, key: SharedKey, state: State) -> int:
    url = f"http://127.0.0.1:{options.port}"
    folder = options.data.resolve()
    scheduler = Scheduler(
        state,
        Account(options.account, url, folder),
        Options(options.autoscale_seconds, options.node_start_seconds, options.max_slots),
    )
    failed = False

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        nonlocal failed
        running = asyncio.create_task(scheduler.run())
        running.add_done_callback(lambda _running: stop())
        try:
            yield
        finally:
            failed = running.done()
            running.cancel()
            await asyncio.wait([running])
            if failed:
                _log.critical("the scheduler failed", exc_info=running.exception())
            await scheduler.stop()

    app = create_app(scheduler, key, lifespan)
    app.state.greeting = f"Batch service on {url} for the account {options.account}, data in {folder}"
    server = _Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=options.port,
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            server_header=False,
        )
    )

    def stop() -> None:
        server.should_exit = True

    if options.exit_with_parent:
        exit_with_parent(stop)
    try:
        await server.serve()
    finally:
        state.close()
    return EXIT_UNUSABLE if failed or not server.started else 0


if __name__ == "__main__":
    sys.exit(main())
