"""Common parts of the local servers: the end together with the parent process, and the check for a free port."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

from sensorwatch.errors import SensorwatchError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EXIT_PORT_IN_USE", "EXIT_UNUSABLE", "PortInUseError", "exit_with_parent", "require_free_port"]

EXIT_PORT_IN_USE = 3
EXIT_UNUSABLE = 4


class PortInUseError(SensorwatchError):
    """Another program listens on the port; the message names the port and the setting that changes it."""


def exit_with_parent(stop: Callable[[], object]) -> None:
    """Call ``stop`` once, from a daemon thread, when standard input ends, as the parent has ended or closed it."""

    def watch() -> None:
        # Read from the descriptor, as a thread that waits inside sys.stdin's lock would block the interpreter's exit.
        descriptor = sys.stdin.fileno()
        while os.read(descriptor, 4096):
            pass
        stop()

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()


def require_free_port(port: int, setting: str) -> None:
    """Check that a TCP port on loopback is free.

    Parameters
    ----------
    port
        The port on 127.0.0.1.
    setting
        Name of the setting that changes the port, for the message.

    Raises
    ------
    PortInUseError
        Another program listens on the port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise PortInUseError(
                f"port {port} can't be used ({exc.strerror}): stop the program that listens there, or change {setting}"
            ) from exc
