"""Supervisor of the local stack: starts all servers, restarts those that end, and stops them all."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

import httpx

from local.process import require_free_port
from local.server import Server, ServerError
from local.settings_file import read_local_settings
from sensorwatch.app import Product

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

__all__ = ["Stack"]

_STOP_SECONDS = 4
_POLL_SECONDS = 0.2
_HOST = "functions-host"


class Stack:
    """Azurite, the Event Hubs broker, the Batch service and the Functions host, on loopback.

    Parameters
    ----------
    app
        Folder of ``function_app.py`` and ``host.json``.
    settings_file
        A ``local.settings.json``; its connections have the servers' ports.
    data
        Folder of the servers' data and logs.
    report
        Called with each message.
    partitions
        Partitions of the event hub.
    """

    def __init__(
        self, app: Path, settings_file: Path, data: Path, *, report: Callable[[str], None] = print, partitions: int = 4
    ) -> None:
        self.settings = read_local_settings(settings_file)
        self.product = Product.from_environment(self.settings.values)
        self.data = data
        self._report = report
        # One thread per process for the numerical libraries, as tasks run in parallel, one per slot.
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._environment = {**os.environ, **threads, **self.settings.values, "PYTHONUNBUFFERED": "1"}
        self.servers = self._servers(app, settings_file.name, partitions)

    def _servers(self, app: Path, file: str, partitions: int) -> dict[str, Server]:
        settings = self.settings
        configured = self.product.settings
        groups = {
            configured.event_hub_consumer_group,
            configured.serving_consumer_group or configured.event_hub_consumer_group,
        }
        account = configured.batch_account_name or "local"
        ports = {
            "azurite": (settings.blob_port, "AzureWebJobsStorage"),
            "event-hubs": (settings.event_hubs_port, "EventHub"),
            "batch": (settings.batch_port, "BATCH_ACCOUNT_URL"),
            _HOST: (settings.http_port, "Host.LocalHttpPort"),
        }
        modules = {
            "azurite": ("local.azurite", "--data", str(self.data / "azurite")),
            "event-hubs": (
                *("local.eventhubs", "--data", str(self.data / "event-hubs")),
                *("--hub", f"{configured.event_hub_name}:{partitions}"),
                *(part for group in sorted(groups) for part in ("--consumer-group", group)),
            ),
            "batch": ("local.batch", "--data", str(self.data / "batch"), "--account", account),
            _HOST: ("local.functions_host", "--app", str(app)),
        }
        return {
            name: Server(
                name,
                (sys.executable, "-m", *arguments, "--port", str(ports[name][0])),
                port=ports[name][0],
                setting=f"{ports[name][1]} in {file}",
                log=self.data / "logs" / f"{name}.log",
                is_ready=self._host_is_running if name == _HOST else None,
            )
            for name, arguments in modules.items()
        }

    def __enter__(self) -> Self:
        """Start all servers."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop all servers."""
        self.stop()

    def start(self) -> None:
        """Start all servers; the Functions host last, when the database, the containers and the pool exist.

        Raises
        ------
        PortInUseError
            A port is in use; no server was started.
        ServerError
            A server did not start.
        """
        for server in self.servers.values():
            require_free_port(server.port, server.setting)
        services = [server for name, server in self.servers.items() if name != _HOST]
        for server in services:
            server.spawn(self._environment)
        for server in services:
            server.wait_until_ready()
        self.product.prepare(pool=True)
        self.start_server(_HOST)

    def start_server(self, name: str) -> None:
        """Start a server and wait until it is ready."""
        self.servers[name].spawn(self._environment)
        self.servers[name].wait_until_ready()

    def kill_server(self, name: str) -> None:
        """Kill a server, as if it had crashed."""
        self.servers[name].kill()

    def stop(self) -> None:
        """Stop all servers with SIGTERM, and kill those that are still running after four seconds."""
        for server in self.servers.values():
            server.ask_to_stop()
        deadline = time.monotonic() + _STOP_SECONDS
        for server in self.servers.values():
            if not server.kill(deadline):
                self._report(f"{server.name} did not stop within {_STOP_SECONDS} s and was killed")
        self.product.store.dispose()

    def watch(self) -> None:
        """Run until interrupted; restart servers that end, with a message that has the end of their log."""
        while True:
            for server in self.servers.values():
                if server.ended:
                    self._report(f"{server.name} is being restarted: it {server.describe_end()}")
                    self.start_server(server.name)
            time.sleep(_POLL_SECONDS)

    @property
    def host_url(self) -> str:
        """URL of the Functions host."""
        return f"http://127.0.0.1:{self.settings.http_port}"

    def fire(self, function: str, value: str = "") -> None:
        """Start a function manually with ``POST /admin/functions/NAME``, as on every Functions host."""
        answer = httpx.post(f"{self.host_url}/admin/functions/{function}", json={"input": value}, timeout=10)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise ServerError(f"starting {function}: expected HTTP 202, got {answer.status_code}: {answer.text}")

    def _host_is_running(self) -> bool:
        try:
            status = httpx.get(f"{self.host_url}/admin/host/status", timeout=10).json()
        except (httpx.HTTPError, ValueError):
            return False
        return bool(status.get("state") == "Running")
