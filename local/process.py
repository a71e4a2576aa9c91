"""What the local servers share: ending with their parent, and a clear word when their port is taken."""

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
    """Another program listens on the port; the text names the port and the setting that moves it."""


def exit_with_parent(stop: Callable[[], object]) -> None:
    """Call ``stop`` once, from a daemon thread, when standard input ends because the parent is gone or closed it."""

    def watch() -> None:
        # Straight from the descriptor: a thread that waits inside sys.stdin's lock would block the interpreter's exit.
        descriptor = sys.stdin.fileno()
        while os.read(descriptor, 4096):
            pass
        stop()

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()


def require_free_port(port: int, setting: str) -> None:
    """Check that a loopback TCP port can be listened on.

    Parameters
    ----------
    port
        The port on 127.0.0.1.
    setting
        What a person changes to move the server, as the message will say it.

    Raises
    ------
    PortInUseError
        Something listens there.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise PortInUseError(
                f"port {port} can't be used ({exc.strerror}): stop what listens there, or change {setting}"
            ) from exc
