"""Access control: GET needs the role ``read``, every other method ``operator``.

The setting ``API_AUTHENTICATION`` decides how a sender is identified:

``key``
    The Functions host accepts only requests with a function key. All of them have the role ``API_KEY_ROLE``.
``entra``
    App Service authentication has signed the sender in and names them in ``X-MS-CLIENT-PRINCIPAL``. App Service removes
    this header from incoming requests only while its authentication is on; otherwise anybody could forge it. Therefore
    the header counts only if the platform has set ``WEBSITE_AUTH_ENABLED``.
``local``
    Requests to a loopback host name have the role ``operator``. All others are refused, including those of a web page
    whose own host name was made to resolve to this machine (DNS rebinding).
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.datastructures import URL, Headers

from sensorwatch.api.problems import problem
from sensorwatch.errors import SensorwatchError
from sensorwatch.settings.sinks import is_loopback

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sensorwatch.settings import Settings

__all__ = ["Access", "Principal", "Role"]

Role = Literal["read", "operator"]

_SAFE = ("GET", "HEAD", "OPTIONS")
_LONGEST_HEADER = 32_768


class _Claim(msgspec.Struct):
    typ: str
    val: str


class _ClientPrincipal(msgspec.Struct):
    claims: list[_Claim]
    name_typ: str = "name"
    role_typ: str = "roles"


@dataclass(frozen=True, slots=True)
class Principal:
    """Sender of a request; an operator has the role ``read`` as well."""

    name: str
    roles: tuple[Role, ...]
    authentication: Literal["local", "entra", "key"]


class Access:
    """Middleware that refuses requests without the needed role.

    The sender of an accepted request is in the request's state as ``principal``.
    """

    def __init__(
        self, app: ASGIApp, settings: Callable[[], Settings], environment: Mapping[str, str] = os.environ
    ) -> None:
        self._app = app
        self._settings = settings
        self._environment = environment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with the reason for its refusal."""
        if scope["type"] == "http":
            answer = self._refusal(scope)
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        try:
            settings = self._settings()
        except SensorwatchError as exc:
            return problem(503, str(exc))
        headers = Headers(scope=scope)
        sender = self._sender(settings, URL(scope=scope), headers)
        if not isinstance(sender, Principal):
            return sender
        safe = scope["method"] in _SAFE
        needed: Role = "read" if safe else "operator"
        if needed not in sender.roles:
            return problem(403, f"{sender.name} lacks the role {needed}, which {scope['method']} requires")
        if not safe and (answer := _forged(headers, URL(scope=scope), settings)) is not None:
            return answer
        scope.setdefault("state", None)
        scope["state"] = {**(scope["state"] or {}), "principal": sender}
        return None

    def _sender(self, settings: Settings, url: URL, headers: Headers) -> Principal | Response:
        match settings.api_authentication:
            case "local":
                if not is_loopback(url.hostname or ""):
                    return problem(
                        403,
                        f"API_AUTHENTICATION is `local`: expected a request to 127.0.0.1 or localhost, got one to "
                        f"`{url.hostname}`; set it to `key` or `entra` to serve other machines",
                    )
                return Principal("local", ("read", "operator"), "local")
            case "entra":
                return self._signed_in(settings, headers)
            case "key":
                return Principal("key", _with_lower(settings.api_key_role), "key")

    def _signed_in(self, settings: Settings, headers: Headers) -> Principal | Response:
        if self._environment.get("WEBSITE_AUTH_ENABLED", "").lower() != "true":
            return problem(
                503,
                "API_AUTHENTICATION is `entra`, but App Service authentication is off, so nobody can be identified; "
                "switch it on (Authentication in the portal)",
            )
        given = headers.get("x-ms-client-principal")
        if given is None:
            return problem(401, "not signed in; sign in at /.auth/login/aad")
        try:
            principal = msgspec.json.decode(
                base64.b64decode(given[:_LONGEST_HEADER], validate=True), type=_ClientPrincipal
            )
        except (binascii.Error, ValueError):
            return problem(
                401, "X-MS-CLIENT-PRINCIPAL: expected base64-encoded JSON with claims, as App Service sends it"
            )
        claimed = {claim.val for claim in principal.claims if claim.typ in (principal.role_typ, "roles")}
        names = [claim.val for claim in principal.claims if claim.typ in (principal.name_typ, "preferred_username")]
        name = headers.get("x-ms-client-principal-name") or next(iter(names), "")
        if not name.strip():
            return problem(
                401, "the signed-in account has no name: expected a name claim or X-MS-CLIENT-PRINCIPAL-NAME"
            )
        roles: tuple[Role, ...] = ()
        if settings.api_operator_role in claimed:
            roles = _with_lower("operator")
        elif settings.api_read_role in claimed:
            roles = _with_lower("read")
        return Principal(name[:200], roles, "entra")


def _with_lower(role: Role) -> tuple[Role, ...]:
    return ("read", "operator") if role == "operator" else ("read",)


def _forged(headers: Headers, url: URL, settings: Settings) -> Response | None:
    """Return a refusal if a page of another site may have made a browser send the request; else None."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return problem(415, "expected Content-Type: application/json")
    origin = headers.get("origin")
    own = {f"{url.scheme}://{url.netloc}"}
    if settings.dashboard_url is not None:
        dashboard = URL(settings.dashboard_url)
        own.add(f"{dashboard.scheme}://{dashboard.netloc}")
    if (origin is not None and origin not in own) or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return problem(
            403,
            f"the request comes from a page of `{origin}`, another site; set DASHBOARD_URL to allow that site",
        )
    return None
