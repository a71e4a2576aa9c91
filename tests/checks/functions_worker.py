"""Microsoft's own worker library, driven as the Functions host drives it.

The host talks to the library in protobuf messages, whose classes the worker process hands in. Those here carry the
same fields in plain namespaces.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

LIBRARY_FOLDER = Path(sys.prefix) / "functions-runtime"
_LIBRARY = "azure_functions_runtime"


class Message(SimpleNamespace):
    """A message with just the fields it was made with."""


class TypedData(Message):
    """One value: the name of its only field says which type it is sent as."""

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802
        assert group == "data"
        return next(iter(vars(self)), None)


class ParameterBinding(Message):
    """One argument of the function, never passed through shared memory."""

    def WhichOneof(self, group: str) -> str:  # noqa: N802
        assert group == "rpc_data"
        return "data"


class BindingInfo(Message):
    """One binding of an indexed function; the numbers are those of the host's protocol."""

    undefined, binary = 0, 2
    out, inout = 1, 2


class StatusResult(Message):
    """Status of a request."""

    Failure, Success = "failure", "success"


PROTOCOL = SimpleNamespace(
    TypedData=TypedData,
    ParameterBinding=ParameterBinding,
    BindingInfo=BindingInfo,
    StatusResult=StatusResult,
    **dict.fromkeys(
        (
            *("WorkerInitResponse", "WorkerMetadata", "FunctionMetadataResponse", "RpcFunctionMetadata"),
            *("RpcRetryOptions", "InvocationResponse", "RpcHttp", "RpcException"),
        ),
        Message,
    ),
)


class Worker:
    """A worker that has indexed the function app in a folder."""

    def __init__(self, library: ModuleType, app: Path) -> None:
        self._library = library
        init = Message(capabilities={}, function_app_directory=str(app))
        started = self._ask("worker_init_request", Message(worker_init_request=init))
        assert_success(started)
        indexed = self._ask("functions_metadata_request", Message())
        assert_success(indexed)
        self.functions: dict[str, Any] = {
            function.name: function for function in indexed.function_metadata_results or ()
        }

    def bindings(self, function: str) -> list[dict[str, Any]]:
        """Return a function's bindings as the host reads them."""
        return [json.loads(binding) for binding in self.functions[function].raw_bindings]

    def trigger(self, function: str) -> dict[str, Any]:
        """Return the one binding that starts a function."""
        (trigger,) = (binding for binding in self.bindings(function) if binding["type"].lower().endswith("trigger"))
        return trigger

    def invoke(self, function: str, value: TypedData, metadata: Mapping[str, TypedData] | None = None) -> Any:
        """Run a function with a value for its trigger; return the worker's response."""
        argument = ParameterBinding(name=self.trigger(function)["name"], data=value)
        invocation = Message(
            invocation_id=str(uuid.uuid4()),
            function_id=self.functions[function].function_id,
            input_data=[argument],
            trigger_metadata=dict(metadata or {}),
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        return self._ask("invocation_request", Message(invocation_request=invocation))

    def _ask(self, handler: str, content: Message) -> Any:
        request = Message(request=content, properties={"host": "127.0.0.1", "protos": PROTOCOL})
        return asyncio.run(getattr(self._library, handler)(request))


def assert_success(response: Any) -> None:
    """Fail with the function's own traceback unless the worker reports success."""
    assert response.result.status == StatusResult.Success, response.result.exception.stack_trace


@contextmanager
def worker(app: Path) -> Iterator[Worker]:
    """Index an app with a library of its own, and leave no trace of either among the loaded modules."""
    assert (LIBRARY_FOLDER / _LIBRARY).is_dir(), (
        f"{LIBRARY_FOLDER} holds no {_LIBRARY}, Microsoft's worker library; `make dev` installs it there"
    )
    before = {name: module for name, module in sys.modules.items() if _is_isolated(name)}
    for name in before:
        del sys.modules[name]
    sys.path[:0] = [str(app), str(LIBRARY_FOLDER)]
    try:
        library = importlib.import_module(_LIBRARY)
        library.start_threadpool_executor()
        try:
            yield Worker(library, app)
        finally:
            library.stop_threadpool_executor()
    finally:
        del sys.path[:2]
        for name in [name for name in sys.modules if _is_isolated(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_isolated(name: str) -> bool:
    return name.partition(".")[0] in {"function_app", "functions", _LIBRARY}
