"""A server process of the local stack: start, check, end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from sensorwatch.errors import SensorwatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Server", "ServerError"]

_READY_SECONDS = 60
_POLL_SECONDS = 0.1
_LOG_TAIL_LINES = 15


class ServerError(SensorwatchError):
    """A server did not start or has ended; the message has the end of its log."""


class Server:
    """A server process in its own session.

    Parameters
    ----------
    name
        Name, for messages.
    arguments
        Command line; ``--exit-with-parent`` is added.
    port
        Port on 127.0.0.1.
    setting
        Name of the setting that changes the port, for messages.
    log
        File of the process's output.
    is_ready
        Check whether the server is ready; None: it is when its port accepts connections.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        port: int,
        setting: str,
        log: Path,
        is_ready: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self.setting = setting
        self.log = log
        self._arguments = (*arguments, "--exit-with-parent")
        self._is_ready = is_ready or self._accepts_connections
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None before the start."""
        return None if self._process is None else self._process.pid

    @property
    def ended(self) -> bool:
        """True if the process was started and has ended."""
        return self._process is not None and self._process.poll() is not None

    def spawn(self, environment: Mapping[str, str]) -> None:
        """Start the process without waiting until it is ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # The standard input is a pipe that only this process holds. When this process ends in any way, the pipe
            # ends and so does the server.
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until the server is ready.

        Raises
        ------
        ServerError
            The process ended, or was not ready after 60 s.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self.ended:
                raise ServerError(f"{self.name} did not start: it {self.describe_end()}")
            if self._is_ready():
                return
            time.sleep(_POLL_SECONDS)
        raise ServerError(f"{self.name} was not ready after {_READY_SECONDS} s; {self._log_tail()}")

    def describe_end(self) -> str:
        """Return the exit code and the end of the log as text: ``ended with exit code …``."""
        code = None if self._process is None else self._process.returncode
        return f"ended with exit code {code}; {self._log_tail()}"

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._signal_group(signal.SIGTERM)

    def kill(self, deadline: float = 0.0) -> bool:
        """Kill the process and its group after ``deadline`` (monotonic seconds).

        Returns
        -------
        bool
            True if the process had ended before.
        """
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
            stopped = True
        except subprocess.TimeoutExpired:
            stopped = False
        # The group may outlive its leader, as a killed server could not end its own children.
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        return stopped

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return

    def _log_tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"the end of {self.log}:", *(f"    {line}" for line in lines[-_LOG_TAIL_LINES:])])

    def _accepts_connections(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
