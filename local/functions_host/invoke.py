"""Invocation of functions: their context, the thread pool, retries, log lines and counters."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, thread
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import azure.functions as func

from local.functions_host.errors import HostStoppingError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from local.functions_host.app import HostedFunction

__all__ = ["Counts", "Invoker", "Outcome"]

_log = logging.getLogger("local.functions_host")


@dataclass(slots=True)
class Counts:
    """Invocations of a function since the host started; every try counts."""

    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of an invocation after its retries: the returned value or the last error."""

    invocation_id: str
    value: Any = None
    error: Exception | None = None


class _RpcException:
    """The error of the previous try, as in the worker's retry context."""

    def __init__(self, error: Exception) -> None:
        self.source = type(error).__module__
        self.message = str(error)
        self.stack_trace = ""


class _RetryContext:
    def __init__(self, retry_count: int, max_retry_count: int, error: Exception | None) -> None:
        self.retry_count = retry_count
        self.max_retry_count = max_retry_count
        self.exception = _RpcException(error) if error else None


class _TraceContext:
    """W3C trace context of an invocation without a parent trace."""

    def __init__(self, invocation_id: str) -> None:
        self.trace_parent = f"00-{invocation_id.replace('-', '')}-{invocation_id[-16:].replace('-', '0')}-00"
        self.trace_state = ""
        self.attributes: dict[str, str] = {}


class _Context(func.Context):
    """Argument of the parameter ``context``."""

    _thread_local = threading.local()

    def __init__(self, function_name: str, invocation_id: str, retry: _RetryContext) -> None:
        self._function_name = function_name
        self._invocation_id = invocation_id
        self._retry = retry
        self._trace = _TraceContext(invocation_id)

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        return self._thread_local

    @property
    def function_name(self) -> str:
        return self._function_name

    @property
    def function_directory(self) -> str:
        return str(os.curdir)

    @property
    def trace_context(self) -> Any:
        return self._trace

    @property
    def retry_context(self) -> Any:
        return self._retry


@dataclass
class Invoker:
    """Runner of invocations, until it is stopped; used inside one event loop."""

    counts: dict[str, Counts] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(
            int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT") or 0) or None, thread_name_prefix="function"
        )
    )
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def work(self) -> AsyncIterator[None]:
        """Enclose work for which a stopping host waits: invocations with their checkpoints or receipts.

        Raises
        ------
        HostStoppingError
            The host is stopping; no new work is started.
        """
        if self._stopping.is_set():
            raise HostStoppingError("the host is stopping")
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new work and wait for running work up to a time limit."""
        self._stopping.set()
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace_seconds)
        if self._under_way:
            _log.warning("%d invocations were still running and will be repeated at the next start", self._under_way)

    async def invoke(self, function: HostedFunction, decode: Callable[[], object]) -> Outcome:
        """Call a function, with retries by its policy; errors are logged and returned.

        Parameters
        ----------
        function
            The function.
        decode
            Creates the trigger's argument; called for every try, on the thread of the function.

        Raises
        ------
        HostStoppingError
            The host stopped before a retry.
        """
        retries = 0
        error: Exception | None = None
        most = function.retry.max_retries if function.retry else 0
        while True:
            outcome = await self._invoke_once(function, decode, _RetryContext(retries, most, error))
            error = outcome.error
            if error is None or function.retry is None or 0 <= most <= retries:
                return outcome
            retries += 1
            delay = function.retry.delay_seconds(retries)
            _log.warning("%s: retry %d in %g s", function.name, retries, delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
                raise HostStoppingError(f"{function.name}: the host stopped before the next retry")

    async def _invoke_once(
        self, function: HostedFunction, decode: Callable[[], object], retry: _RetryContext
    ) -> Outcome:
        invocation_id = str(uuid.uuid4())
        counts = self.counts.setdefault(function.name, Counts())
        extra = {"context": _Context(function.name, invocation_id, retry)} if function.takes_context else {}
        name = str(function.trigger["name"])

        def call() -> Any:
            return function.call(**{name: decode()}, **extra)

        started = time.perf_counter()
        try:
            if inspect.iscoroutinefunction(function.call):
                value = await call()
            else:
                copied = contextvars.copy_context()
                value = await asyncio.get_running_loop().run_in_executor(self._threads, copied.run, call)
        except Exception as exc:  # noqa: BLE001 - logged here and handed to the trigger, which decides
            counts.failed += 1
            seconds = time.perf_counter() - started
            shown = exc.with_traceback(_from_the_app(exc.__traceback__))
            _log.error("%s failed after %.3f s (invocation %s)", function.name, seconds, invocation_id, exc_info=shown)
            return Outcome(invocation_id, error=exc)
        counts.succeeded += 1
        _log.info("%s succeeded in %.3f s (invocation %s)", function.name, time.perf_counter() - started, invocation_id)
        return Outcome(invocation_id, value=value)


def _from_the_app(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the host's own frames at the start; all of it if the host itself failed."""
    rest = trace
    while rest and rest.tb_frame.f_code.co_filename in (__file__, thread.__file__):
        rest = rest.tb_next
    return rest or trace
