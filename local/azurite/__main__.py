"""The command ``python -m local.azurite --port P --data DIR [--exit-with-parent]``: Azurite's blob service."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from local.npm import NpmError, is_installed, node_command
from local.process import EXIT_PORT_IN_USE, EXIT_UNUSABLE, PortInUseError, require_free_port

__all__ = ["main"]

_FOLDER = Path(__file__).parent
_BLOB_SERVICE = _FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def main(arguments: list[str] | None = None) -> NoReturn:
    """Replace this process by Azurite, or end it with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m local.azurite", description="Azurite's blob service, on loopback.")
    parser.add_argument("--port", type=int, default=10000, help="port on 127.0.0.1 (default 10000)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the blobs")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when standard input ends")
    options = parser.parse_args(arguments)
    try:
        require_free_port(options.port, "--port and the BlobEndpoint of AzureWebJobsStorage in local.settings.json")
        node = node_command()
    except PortInUseError as exc:
        _fail(str(exc), EXIT_PORT_IN_USE)
    except NpmError as exc:
        _fail(str(exc), EXIT_UNUSABLE)
    if not is_installed(_FOLDER):
        _fail("its npm packages are missing or do not match package-lock.json; run `make setup`", EXIT_UNUSABLE)
    options.data.mkdir(parents=True, exist_ok=True)
    command = [
        *node,
        "--require",
        str(_FOLDER / "stop.js"),
        str(_BLOB_SERVICE),
        *("--blobHost", "127.0.0.1"),
        *("--blobPort", str(options.port)),
        # Longer than the SDKs keep idle connections, so that they never use a connection that is being closed.
        *("--blobKeepAliveTimeout", "120"),
        *("--location", str(options.data.resolve())),
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",
    ]
    environment = os.environ | {"SENSORWATCH_EXIT_WITH_PARENT": "1" if options.exit_with_parent else "0"}
    # Azurite replaces this process instead of being its child, so that there is one process id and no orphan.
    os.execve(command[0], command, environment)  # noqa: S606


def _fail(reason: str, code: int) -> NoReturn:
    print(f"Azurite: {reason}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
