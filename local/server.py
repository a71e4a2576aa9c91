"""One server process of the local stack: started, watched, ended."""

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
    """A server did not start or did not stay up; the text holds the end of its log."""


class Server:
    """A server process in a session of its own.

    Parameters
    ----------
    name
        What messages call it.
    arguments
        Its command line; ``--exit-with-parent`` is added.
    port
        The port on 127.0.0.1 that it listens on.
    setting
        What a person changes to move it.
    log
        File that takes its output.
    is_ready
        Asked until it says yes; without it, a port that accepts connections is ready.
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
        """The process's id; None before it was started."""
        return None if self._process is None else self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it was started and is not running any more."""
        return self._process is not None and self._process.poll() is not None

    def spawn(self, environment: Mapping[str, str]) -> None:
        """Start the process; :meth:`wait_until_ready` says when it can be used."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # Its standard input is a pipe that only we hold: it ends with us however we end, and the server with it.
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until it can be used.

        Raises
        ------
        ServerError
            It ended, or was not ready in time.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if self.ended:
                raise ServerError(f"{self.name} did not start: {self.describe_end()}")
            if self._is_ready():
                return
            time.sleep(_POLL_SECONDS)
        raise ServerError(f"{self.name} was not ready after {_READY_SECONDS} s; {self._log_tail()}")

    def describe_end(self) -> str:
        """Say how it ended, with the end of its log."""
        code = None if self._process is None else self._process.returncode
        return f"it ended with exit code {code}; {self._log_tail()}"

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        self._signal_group(signal.SIGTERM)

    def kill(self, deadline: float = 0.0) -> bool:
        """End the process and its group with SIGKILL, once ``deadline`` (monotonic seconds) is over.

        Returns
        -------
        bool
            Whether it had stopped by itself before.
        """
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
            stopped = True
        except subprocess.TimeoutExpired:
            stopped = False
        # The group may outlive its leader: a server that was killed could not end its own children.
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
