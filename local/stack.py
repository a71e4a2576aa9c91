"""The process supervisor: starts every server of the local stack, watches them, and ends them all."""

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
        A ``local.settings.json``; its connections give the servers' ports.
    data
        Where the servers keep their data and logs.
    report
        Called with one line for each thing worth telling.
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
        # One thread a process for the numerical libraries: tasks run side by side, one to a slot.
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
        """Start everything."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()

    def start(self) -> None:
        """Start every server: the Functions host last, once the database, the containers and the pool are there.

        Raises
        ------
        PortInUseError
            Names the port and the setting; nothing was started.
        ServerError
            A server did not come up.
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
        """Start one server (again) and wait until it is ready."""
        self.servers[name].spawn(self._environment)
        self.servers[name].wait_until_ready()

    def kill_server(self, name: str) -> None:
        """End one server with SIGKILL, as a crash would."""
        self.servers[name].kill()

    def stop(self) -> None:
        """End every server within five seconds: asked first, killed if need be."""
        for server in self.servers.values():
            server.ask_to_stop()
        deadline = time.monotonic() + _STOP_SECONDS
        for server in self.servers.values():
            if not server.kill(deadline):
                self._report(f"{server.name} did not stop in time and was killed")
        self.product.store.dispose()

    def watch(self) -> None:
        """Stay until interrupted; a server that ends is started again, with a word and the end of its log."""
        while True:
            for server in self.servers.values():
                if server.ended:
                    self._report(f"{server.name} is started again: {server.describe_end()}")
                    self.start_server(server.name)
            time.sleep(_POLL_SECONDS)

    @property
    def host_url(self) -> str:
        """Address of the Functions host."""
        return f"http://127.0.0.1:{self.settings.http_port}"

    def fire(self, function: str, value: str = "") -> None:
        """Fire a function by hand, as ``POST /admin/functions/NAME`` does on every Functions host."""
        answer = httpx.post(f"{self.host_url}/admin/functions/{function}", json={"input": value}, timeout=10)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise ServerError(f"firing {function}: expected HTTP 202, got {answer.status_code}: {answer.text}")

    def _host_is_running(self) -> bool:
        try:
            status = httpx.get(f"{self.host_url}/admin/host/status", timeout=10).json()
        except (httpx.HTTPError, ValueError):
            return False
        return bool(status.get("state") == "Running")
