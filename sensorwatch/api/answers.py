"""Middleware for all responses: ETags, and security headers."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Etags", "SecurityHeaders"]

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The URL of a page may contain a function key.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityHeaders:
    """Middleware that adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the response."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class Etags:
    """Middleware that gives every successful response to GET an ETag, and responds 304 if the client has that content.

    The app computes the response in any case; only its transfer and the client's processing are saved. HEAD is handled
    like GET, without the content.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the response."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        with_content = scope["method"] == "GET"
        known = Headers(scope=scope).get("if-none-match", "")
        start: Message = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await _send_tagged(start, bytes(body), known, with_content, send)

        await self._app({**scope, "method": "GET"}, receive, collect)


async def _send_tagged(start: Message, body: bytes, known: str, with_content: bool, send: Send) -> None:
    if start["status"] == 200:
        headers = MutableHeaders(scope=start)
        etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
        headers["ETag"] = etag
        headers["Cache-Control"] = "private, no-cache"
        if _matches(known, etag):
            start["status"], body = 304, b""
            del headers["Content-Length"], headers["Content-Type"]
    await send(start)
    await send({"type": "http.response.body", "body": body if with_content else b""})


def _matches(known: str, etag: str) -> bool:
    """Return true if the header If-None-Match contains the ETag; weak comparison (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return "*" in tags or etag in tags
