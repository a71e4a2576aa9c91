"""The command ``python -m local.functions_host --app DIR [--port P] [--settings FILE]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from local.functions_host.app import load_app
from local.functions_host.errors import HostError
from local.functions_host.host import Host
from local.functions_host.host_json import read_host_json
from local.process import EXIT_PORT_IN_USE, EXIT_UNUSABLE, PortInUseError, exit_with_parent, require_free_port
from sensorwatch.errors import SettingsError
from sensorwatch.settings import read_settings_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.functions_host.app import HostedFunction
    from local.functions_host.host_json import HostJson

__all__ = ["main"]

_DEFAULT_PORT = 7071


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the host until SIGTERM or SIGINT.

    Exit codes: 0 after a stop, 3 if the port is in use, 4 if the app can't be run.
    """
    options = _parse(arguments)
    try:
        settings_port = _load_settings(options.settings) if options.settings else _DEFAULT_PORT
        port = options.port or settings_port
        require_free_port(port, "Host.LocalHttpPort in local.settings.json")
        folder = options.app.resolve()
        host_json = read_host_json(folder / "host.json")
        _set_up_logging(options.log_level or host_json.log_level)
        os.chdir(folder)
        functions = load_app(folder, os.environ)
        asyncio.run(_serve(functions, host_json, port, options))
    except PortInUseError as exc:
        _leave(EXIT_PORT_IN_USE, str(exc))
    except (HostError, SettingsError) as exc:
        _leave(EXIT_UNUSABLE, str(exc))
    _leave(0)


async def _serve(
    functions: Sequence[HostedFunction], host_json: HostJson, port: int, options: argparse.Namespace
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.exit_with_parent:
        exit_with_parent(partial(loop.call_soon_threadsafe, stop.set))
    host = Host(functions, host_json, os.environ, blob_poll_seconds=options.blob_poll_seconds)
    await host.run(port, stop)
    # Exit before asyncio cleans up, as that would wait for functions that are still running.
    _leave(0)


def _leave(code: int, reason: str | None = None) -> NoReturn:
    """Exit immediately, as threads that still run a function would keep the process alive."""
    if reason:
        print(f"Functions host: {reason}", file=sys.stderr)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.functions_host", description="Run a Python v2 function app, on loopback."
    )
    parser.add_argument("--app", type=Path, required=True, help="folder of function_app.py and host.json")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: the settings file's, else 7071)")
    parser.add_argument(
        "--settings", type=Path, help="a local.settings.json; environment variables override its Values"
    )
    parser.add_argument("--blob-poll-seconds", type=float, default=1.0, help="time between checks for new blobs")
    parser.add_argument("--log-level", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="default: host.json's")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when standard input ends")
    return parser.parse_args(arguments)


def _load_settings(path: Path) -> int:
    """Set the file's ``Values`` in the environment, where existing variables win, and return the port of its host."""
    for key, value in read_settings_file(path).items():
        os.environ.setdefault(key, value)
    port = json.loads(path.read_text(encoding="utf-8-sig")).get("Host", {}).get("LocalHttpPort", _DEFAULT_PORT)
    if not isinstance(port, int) or not 0 < port < 65536:
        raise HostError(f"{path}: Host.LocalHttpPort: expected a port number, got `{port}`")
    return port


def _set_up_logging(level: str) -> None:
    logging.basicConfig(
        level=level, format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    logging.Formatter.converter = time.gmtime
    if level != "DEBUG":
        # The SDKs log every request at INFO and every attempt to reconnect at WARNING. The listeners log the loss of a
        # connection once.
        logging.getLogger("azure").setLevel(logging.WARNING)
        logging.getLogger("azure.eventhub").setLevel(logging.ERROR)
        logging.getLogger("uvicorn").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
