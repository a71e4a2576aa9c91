"""The local Batch service as a process, for tests that speak to it with the real SDK."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KEY", "BatchProcess", "pick_port"]

KEY = base64.b64encode(b"a key of the tests, not a secret").decode()
_READY_SECONDS = 120


def pick_port() -> int:
    """Return a loopback TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class BatchProcess:
    """A service on a port over a folder; it can be killed and started again."""

    def __init__(self, port: int, data: Path, *options: str, storage: str = "") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.data = data
        self._command = [sys.executable, "-m", "local.batch", "--port", str(port), "--data", str(data)]
        self._command += ["--account", "local", "--exit-with-parent", "--node-start-seconds", "0.05", *options]
        self._environment = os.environ | {"BATCH_ACCOUNT_KEY": KEY, "AzureWebJobsStorage": storage}
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.end(signal.SIGTERM)

    def start(self) -> None:
        """Start it and wait for its line."""
        self.process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith(f"Batch service on {self.url}")

    def end(self, number: signal.Signals) -> float:
        """Send a signal, wait for the end, and return the seconds it took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=_READY_SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return time.monotonic() - started

    def client(self, key: str = KEY) -> BatchClient:
        """Return the SDK's client."""
        return BatchClient(self.url, AzureNamedKeyCredential("local", key), retry_total=0)
