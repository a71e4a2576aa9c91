"""HTTP triggers and the admin endpoints, on loopback only."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Protocol

import azure.functions as func
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route as StarletteRoute

from local.functions_host.errors import HostError, HostStoppingError
from local.functions_host.routes import parse_route

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from local.functions_host.app import HostedFunction
    from local.functions_host.invoke import Invoker

__all__ = ["AdminSite", "build_site", "http_arguments"]

_log = logging.getLogger("local.functions_host")
_Datum = func.meta.Datum
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class AdminSite(Protocol):
    """The operations behind the admin endpoints."""

    def status(self) -> dict[str, Any]:
        """Return the body of ``GET /admin/host/status``."""
        ...

    def describe(self) -> list[dict[str, Any]]:
        """Return the body of ``GET /admin/functions``."""
        ...

    def fire(self, name: str, text: str | None) -> bool:
        """Start a manual invocation; return False if the function does not exist.

        Raises
        ------
        HostError
            The input does not fit the trigger.
        """
        ...


def build_site(functions: Sequence[HostedFunction], invoker: Invoker, admin: AdminSite, route_prefix: str) -> Starlette:
    """Create the web application.

    Parameters
    ----------
    functions
        Functions of the app; those with an HTTP trigger get a route.
    invoker
        Runner of invocations.
    admin
        Operations behind the admin endpoints.
    route_prefix
        Prefix of all routes (``api/``).

    Raises
    ------
    HostError
        A route template can't be parsed.
    """
    routes = sorted(
        (
            (parse_route(_template(function, route_prefix), function.where), function)
            for function in functions
            if function.kind == "httpTrigger" and not function.disabled
        ),
        key=lambda entry: entry[0].order,
    )

    async def call_function(request: Request) -> Response:
        path = request.path_params["path"]
        for route, function in routes:
            parameters = route.match(path)
            methods = [str(method).upper() for method in function.trigger.get("methods") or ()]
            if parameters is not None and (not methods or request.method in methods):
                return await _respond(request, parameters, function, invoker)
        return PlainTextResponse("no function has this route and method\n", 404)

    async def status(_request: Request) -> Response:
        return JSONResponse(admin.status())

    async def describe(_request: Request) -> Response:
        return JSONResponse(admin.describe())

    async def fire(request: Request) -> Response:
        # A foreign web page can send other content types without permission (CORS), but not JSON.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return PlainTextResponse("expected Content-Type: application/json\n", 415)
        return _fire(admin, request.path_params["name"], await request.body())

    return Starlette(
        routes=[
            StarletteRoute("/admin/host/status", status, methods=["GET"]),
            StarletteRoute("/admin/functions", describe, methods=["GET"]),
            StarletteRoute("/admin/functions/{name}", fire, methods=["POST"]),
            StarletteRoute("/{path:path}", call_function, methods=_METHODS),
        ],
        # A foreign web page whose host name resolves to this machine would otherwise have the same origin.
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"], www_redirect=False),
        ],
    )


def http_arguments(
    method: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    parameters: Mapping[str, str],
    body: bytes,
) -> object:
    """Create the request object of a function with the worker's converter.

    Parameters
    ----------
    method, url
        Method and complete URL.
    headers, query, parameters
        Headers, query and route parameters.
    body
        The body.
    """
    value = {
        "method": _text(method),
        "url": _text(url),
        "headers": {key: _text(text) for key, text in headers.items()},
        "query": {key: _text(text) for key, text in query.items()},
        "params": {key: _text(text) for key, text in parameters.items()},
        "body": _Datum(body, "bytes"),
    }
    converter = func.get_binding_registry().get("httpTrigger")
    return converter.decode(_Datum(value, "http"), trigger_metadata={})


def _template(function: HostedFunction, route_prefix: str) -> str:
    return f"{route_prefix}/{str(function.trigger.get('route') or function.name).lstrip('/')}"


async def _respond(
    request: Request, parameters: Mapping[str, str], function: HostedFunction, invoker: Invoker
) -> Response:
    body = await request.body()
    query: dict[str, str] = {}
    for key, text in request.query_params.multi_items():
        query[key] = f"{query[key]},{text}" if key in query else text
    try:
        async with invoker.work():
            outcome = await invoker.invoke(
                function,
                lambda: http_arguments(request.method, str(request.url), request.headers, query, parameters, body),
            )
    except HostStoppingError:
        return PlainTextResponse("the host is stopping\n", 503)
    if outcome.error is None:
        try:
            return _response(outcome.value, head=request.method == "HEAD")
        except (NotImplementedError, TypeError):
            _log.exception(
                "%s returned %s instead of a func.HttpResponse or a str", function.name, type(outcome.value).__name__
            )
    return PlainTextResponse(f"the function failed; the host's log has invocation {outcome.invocation_id}\n", 500)


def _response(value: Any, *, head: bool) -> Response:
    if value is None:
        return Response(status_code=204)
    datum = func.get_binding_registry().get("http").encode(value, expected_type=None)
    if datum.type == "string":
        return PlainTextResponse(datum.value)
    parts = datum.value
    response = Response(parts["body"].value, int(parts["status_code"].value))
    for key, header in parts["headers"].items():
        # The length of the body that GET would return; all others follow from the body.
        if key.lower() != "content-length" or head:
            response.headers[key] = header.value
    for cookies in parts["cookies"] or ():
        for cookie in cookies.values():
            response.headers.append("set-cookie", cookie.OutputString())
    return response


def _fire(admin: AdminSite, name: str, body: bytes) -> Response:
    try:
        content = json.loads(body or b"{}")
        text = content.get("input")
    except (ValueError, AttributeError):
        return PlainTextResponse('expected a JSON object like {"input": "…"}\n', 400)
    try:
        known = admin.fire(name, text if text is None or isinstance(text, str) else json.dumps(text))
    except HostError as exc:
        return PlainTextResponse(f"{exc}\n", 400)
    return Response(status_code=202) if known else PlainTextResponse(f"there is no function {name}\n", 404)


def _text(value: str) -> Any:
    return _Datum(value, "string")
