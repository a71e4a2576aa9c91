"""What goes over every answer: its ETag, and headers that keep browsers from doing more than they should."""

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
    # A page's address may hold a function key.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityHeaders:
    """Adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class Etags:
    """Gives every good answer to GET an ETag of its content, and answers 304 where the client has that already.

    The app does its work all the same: what is saved is the way, and the client's work with content it knows. HEAD is
    answered as GET is, without the content.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
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
    """Return whether a header If-None-Match names the tag; weak comparison (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return "*" in tags or etag in tags
