"""Run Azurite's blob service: ``python -m local.azurite --port P --data DIR [--exit-with-parent]``."""

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
    """Turn this process into Azurite, or end it with one line that says why not."""
    parser = argparse.ArgumentParser(prog="python -m local.azurite", description="Azurite's blob service, on loopback.")
    parser.add_argument("--port", type=int, default=10000, help="port on 127.0.0.1 (default 10000)")
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps the blobs")
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
        _fail("not installed as its lock file says; run `python -m local.npm local/azurite`", EXIT_UNUSABLE)
    options.data.mkdir(parents=True, exist_ok=True)
    command = [
        *node,
        "--require",
        str(_FOLDER / "stop.js"),
        str(_BLOB_SERVICE),
        *("--blobHost", "127.0.0.1"),
        *("--blobPort", str(options.port)),
        # Longer than the SDKs keep idle connections, so that they don't meet one that is just being closed.
        *("--blobKeepAliveTimeout", "120"),
        *("--location", str(options.data.resolve())),
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",
    ]
    environment = os.environ | {"SENSORWATCH_EXIT_WITH_PARENT": "1" if options.exit_with_parent else "0"}
    # In place of this process rather than below it: one process id, and no way to outlive it.
    os.execve(command[0], command, environment)  # noqa: S606


def _fail(reason: str, code: int) -> NoReturn:
    print(f"Azurite: {reason}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
