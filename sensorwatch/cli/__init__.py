"""Command line ``sensorwatch``: one file for each group of commands."""

from __future__ import annotations

import logging
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; a :class:`~sensorwatch.errors.SensorwatchError` becomes one message and exit code 1."""
    from sensorwatch.cli.app import app
    from sensorwatch.errors import SensorwatchError, TransientError

    # Commands that wait deliver notifications too. Their log is the function app's, not that of a terminal.
    logging.getLogger("sensorwatch.alerts").addHandler(logging.NullHandler())
    try:
        app()
    except SensorwatchError as exc:
        sys.stderr.write(f"sensorwatch: {exc}\n")
        if isinstance(exc, TransientError):
            sys.stderr.write("Run `sensorwatch doctor` to find the cause, or `make up` to start the local stack.\n")
        sys.exit(1)
