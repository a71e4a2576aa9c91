"""The host: a listener per function, the web site, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import uvicorn

from local.functions_host.blob import BlobListener
from local.functions_host.connections import HOST_STORAGE, Connections
from local.functions_host.errors import HostError, HostStoppingError
from local.functions_host.event_hub import EventHubListener
from local.functions_host.host_state import HostState
from local.functions_host.http import build_site, http_arguments
from local.functions_host.invoke import Counts, Invoker
from local.functions_host.timer import TimerListener

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping, Sequence

    from azure.storage.blob.aio import BlobServiceClient

    from local.functions_host.app import HostedFunction
    from local.functions_host.host_json import HostJson

__all__ = ["Host"]

_log = logging.getLogger("local.functions_host")

_VERSION = "4.0.0-local"
_IN_FLIGHT_SECONDS = 1.6
_CLOSE_SECONDS = 1.2


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, as the host decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Host:
    """The host of an app's functions; created and used inside one event loop.

    Parameters
    ----------
    functions
        Functions of the app.
    options
        Options of ``host.json``.
    settings
        App settings.
    blob_poll_seconds
        Seconds between checks for new blobs.

    Raises
    ------
    HostError
        A connection, path, schedule or route of a function can't be used.
    """

    def __init__(
        self,
        functions: Sequence[HostedFunction],
        options: HostJson,
        settings: Mapping[str, str],
        *,
        blob_poll_seconds: float = 1.0,
    ) -> None:
        self._functions = {function.name: function for function in functions}
        self._options = options
        self._connections = Connections(settings)
        self._invoker = Invoker({function.name: Counts() for function in functions})
        self._started = time.monotonic()
        self._clients: dict[str, BlobServiceClient] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._check_connections()
        self._state = HostState(self._storage(HOST_STORAGE))
        self._timers: dict[str, TimerListener] = {}
        self._blobs: dict[str, BlobListener] = {}
        self._event_hubs: dict[str, EventHubListener] = {}
        for function in functions:
            self._add_listener(function, blob_poll_seconds)
        self._site = build_site(functions, self._invoker, self, options.route_prefix)

    async def run(self, port: int, stop: asyncio.Event) -> None:
        """Serve on 127.0.0.1 until ``stop`` is set; then end within 3 s."""
        server = _Server(
            uvicorn.Config(self._site, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off")
        )
        server_task = asyncio.create_task(server.serve())
        for listener in self._listeners():
            if not listener.function.disabled:
                self._spawn(listener.run(), f"listener of {listener.function.name}")
        _log.info("%d functions, http://127.0.0.1:%d", len(self._functions), port)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, server_task}, return_when=asyncio.FIRST_COMPLETED)
        await self._invoker.stop(_IN_FLIGHT_SECONDS)
        server.should_exit = server.force_exit = True
        closing = [listener.close() for listener in self._event_hubs.values()]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), _CLOSE_SECONDS)

    def status(self) -> dict[str, Any]:
        """Return the status of the real host, with the states and invocation counts of the functions."""
        ready = {listener.function.name: listener.ready for listener in self._listeners()}
        states = {
            name: "Disabled" if function.disabled else "Running" if ready.get(name, True) else "Starting"
            for name, function in self._functions.items()
        }
        return {
            "id": self._state.host_id,
            "state": "Initialized" if "Starting" in states.values() else "Running",
            "version": _VERSION,
            "versionDetails": f"{_VERSION} (local/functions_host)",
            "processUptime": int((time.monotonic() - self._started) * 1000),
            "functions": {
                name: {"type": function.kind, "state": states[name]} for name, function in self._functions.items()
            },
            "invocations": {
                name: {"succeeded": counts.succeeded, "failed": counts.failed}
                for name, counts in self._invoker.counts.items()
            },
        }

    def describe(self) -> list[dict[str, Any]]:
        """Return the functions with their bindings."""
        return [
            {
                "name": function.name,
                "language": "python",
                "isDisabled": function.disabled,
                "href": f"/admin/functions/{function.name}",
                "config": {"scriptFile": "function_app.py", "bindings": function.bindings},
            }
            for function in self._functions.values()
        ]

    def fire(self, name: str, text: str | None) -> bool:
        """Start a manual invocation; see :class:`~local.functions_host.http.AdminSite`."""
        function = self._functions.get(name)
        if function is None:
            return False
        self._spawn(self._fire(function, text), f"manual invocation of {name}")
        return True

    def _fire(self, function: HostedFunction, text: str | None) -> Coroutine[Any, Any, None]:
        """Return the invocation, which has not started yet; raise a HostError if the input does not fit the trigger."""
        if function.kind == "timerTrigger":
            return self._timers[function.name].fire(past_due=False)
        if function.kind == "blobTrigger":
            if not text or "/" not in text:
                raise HostError(f"{function.name}: expected input `container/blob`, got `{text or ''}`")
            return self._blobs[function.name].fire(text)
        if function.kind == "eventHubTrigger":
            return self._event_hubs[function.name].fire(_bodies(text or ""))
        return self._fire_http(function, text or "")

    async def _fire_http(self, function: HostedFunction, text: str) -> None:
        headers = {"content-type": "application/json"}
        url = f"http://127.0.0.1/{function.name}"
        async with self._invoker.work():
            await self._invoker.invoke(function, lambda: http_arguments("POST", url, headers, {}, {}, text.encode()))

    def _check_connections(self) -> None:
        for function in self._functions.values():
            if function.kind == "eventHubTrigger":
                self._connections.check_event_hub(str(function.trigger["connection"]), function.where)
            if function.kind == "blobTrigger":
                self._connections.check_storage(str(function.trigger["connection"]), function.where)
            if function.kind != "httpTrigger":
                self._connections.check_storage(HOST_STORAGE, f"{function.where}, the host's own storage")

    def _add_listener(self, function: HostedFunction, blob_poll_seconds: float) -> None:
        if function.kind == "timerTrigger":
            self._timers[function.name] = TimerListener(function, self._invoker, self._state, _now)
        elif function.kind == "blobTrigger":
            storage = self._storage(str(function.trigger["connection"]))
            self._blobs[function.name] = BlobListener(
                function, self._invoker, self._state, storage, self._options, blob_poll_seconds
            )
        elif function.kind == "eventHubTrigger":
            self._event_hubs[function.name] = EventHubListener(
                function, self._invoker, self._state, self._connections, self._options.event_hubs
            )

    def _listeners(self) -> Iterator[TimerListener | BlobListener | EventHubListener]:
        yield from self._timers.values()
        yield from self._blobs.values()
        yield from self._event_hubs.values()

    def _storage(self, name: str) -> BlobServiceClient:
        return self._clients.setdefault(name, self._connections.storage(name))

    def _spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        async def guarded() -> None:
            try:
                await work
            except HostStoppingError:
                _log.info("%s was not started: the host is stopping", what)
            except Exception:  # noqa: BLE001 - one function's listener must not end the host
                _log.exception("%s ended", what)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _bodies(text: str) -> list[bytes]:
    """Return event bodies: the items of a JSON list (texts unchanged, others as JSON), or else the text as one body."""
    try:
        content = json.loads(text)
    except ValueError:
        return [text.encode()]
    if not isinstance(content, list):
        return [text.encode()]
    if not content:
        raise HostError("expected at least one event body, got an empty list")
    return [item.encode() if isinstance(item, str) else json.dumps(item).encode() for item in content]


def _now() -> datetime:
    return datetime.now(UTC)
