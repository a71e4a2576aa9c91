"""Handling common to all requests: signature, API version, size of the body, lists, errors in Batch's format."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from local.batch.documents import etag
from local.batch.errors import ServiceError
from local.batch.files import http_date
from local.batch.odata import paginate, predicate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from local.batch.auth import SharedKey
    from local.batch.records import JobRecord, PoolRecord, TaskRecord

__all__ = ["API_VERSION", "SignedRequests", "answer", "check_match", "error_response", "listing", "read_body"]

_log = logging.getLogger(__name__)

API_VERSION = "2025-06-01"
_MAX_BODY_BYTES = 1_048_576
_JSON = "application/json; odata=minimalmetadata"


class SignedRequests:
    """ASGI middleware that refuses requests without a valid signature or with another API version."""

    def __init__(self, app: ASGIApp, key: SharedKey) -> None:
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and pass it on."""
        if scope["type"] == "http":
            request = Request(scope)
            path = scope["raw_path"].decode("latin-1")
            query = scope["query_string"].decode("latin-1")
            try:
                self._key.check(request.method, path, query, dict(request.headers))
                _check_version(request.query_params.get("api-version"))
            except ServiceError as exc:
                await error_response(request, exc)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _check_version(version: str | None) -> None:
    if version != API_VERSION:
        raise ServiceError(
            400,
            "UnsupportedRequestVersion",
            f"The specified request version is not supported: expected {API_VERSION}, got {version}. "
            "Use azure-batch 15.1.",
        )


async def read_body(request: Request) -> bytes:
    """Return the request's body; raise a 413 above 1 MB, as Azure does."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise ServiceError(
                413, "RequestBodyTooLarge", "The size of the request body exceeds the maximum size permitted."
            )
    return bytes(body)


def answer(
    status: int, document: dict[str, Any] | None = None, record: PoolRecord | JobRecord | TaskRecord | None = None
) -> Response:
    """Return a response.

    Parameters
    ----------
    status
        HTTP status.
    document
        JSON document of the body; None: no body.
    record
        Record whose ETag and modification time become headers.
    """
    headers = {"DataServiceVersion": "3.0", "request-id": str(uuid.uuid4())}
    if record is not None:
        headers |= {"ETag": etag(record), "Last-Modified": http_date(record.modified)}
    if document is None:
        return Response(status_code=status, headers=headers)
    return Response(msgspec.json.encode(document), status, headers, media_type=_JSON)


def listing(
    request: Request, url: str, kind: str, entries: Iterable[tuple[int, dict[str, Any]]], *, filtered: bool = True
) -> Response:
    """Return one page of a list, with a link to the next one.

    Parameters
    ----------
    request
        Request with ``$filter``, ``$select``, ``maxresults`` and ``$skiptoken``.
    url
        URL of the service.
    kind
        Name of the listed resources (``tasks``).
    entries
        (sequence number, document) in ascending order.
    filtered
        Whether the list supports ``$filter``.
    """
    query = request.query_params
    text = query.get("$filter") if filtered else None
    page = paginate(
        entries,
        keep_if=predicate(text) if text else None,
        select=query.get("$select"),
        max_results=query.get("maxresults"),
        after=query.get("$skiptoken"),
    )
    document: dict[str, Any] = {"odata.metadata": f"{url}/$metadata#{kind}", "value": page.documents}
    if page.next_after is not None:
        following = request.url.include_query_params(**{"$skiptoken": page.next_after})
        document["odata.nextLink"] = f"{url}{request.url.path}?{following.query}"
    return answer(200, document)


def check_match(request: Request, record: PoolRecord | JobRecord | TaskRecord) -> None:
    """Check ``If-Match`` and ``If-None-Match``; raise a 412 if a condition is not met."""
    tag = etag(record)
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if (match not in {None, "*"} and (match or "").strip('"') != tag) or (
        none_match is not None and none_match.strip('"') in {"*", tag}
    ):
        raise ServiceError(
            412, "ConditionNotMet", "The condition specified in the conditional header(s) was not met for the operation"
        )


def error_response(request: Request, exc: ServiceError) -> Response:
    """Return an error in Batch's format; without a body for a HEAD request."""
    _log.info("%s %s: %d %s %s", request.method, request.url.path, exc.status, exc.code, exc.message)
    headers = {"DataServiceVersion": "3.0", "request-id": str(uuid.uuid4())}
    content = b"" if request.method == "HEAD" else msgspec.json.encode(exc.document())
    return Response(content, exc.status, headers, media_type=_JSON)
