"""Who may do what: GET needs the role ``read``, everything else ``operator``.

How a request shows who sent it is a setting, ``API_AUTHENTICATION``:

``key``
    The Functions host lets in only who has a function key; all of them have the role ``API_KEY_ROLE``.
``entra``
    App Service authentication has signed the sender in and says so in ``X-MS-CLIENT-PRINCIPAL``. App Service takes that
    header off what comes from outside, but only while its authentication is on; else everybody could write it. So it
    counts only where the platform says that it is on (``WEBSITE_AUTH_ENABLED``, which it sets itself).
``local``
    Requests by a loopback name are an operator's; others are refused, a page of the web that has resolved its own name
    to this machine among them.
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
from sensorwatch.sink_settings import is_loopback

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
    """Who sent a request; an operator may read, too."""

    name: str
    roles: tuple[Role, ...]
    authentication: Literal["local", "entra", "key"]


class Access:
    """Lets through what its sender may do, with the sender in the request's state as ``principal``."""

    def __init__(
        self, app: ASGIApp, settings: Callable[[], Settings], environment: Mapping[str, str] = os.environ
    ) -> None:
        self._app = app
        self._settings = settings
        self._environment = environment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with what it lacks."""
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
            return problem(403, f"{sender.name} lacks the role {needed}, which {scope['method']} needs")
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
                        f"API_AUTHENTICATION is local, for requests to 127.0.0.1 or localhost; got one to "
                        f"`{url.hostname}`. Set it to key or entra where others are to reach the app",
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
                "API_AUTHENTICATION is entra, but App Service authentication is off, so nobody could be told from "
                "anybody; switch it on (Authentication in the portal)",
            )
        given = headers.get("x-ms-client-principal")
        if given is None:
            return problem(401, "nobody is signed in; /.auth/login/aad does that")
        try:
            principal = msgspec.json.decode(
                base64.b64decode(given[:_LONGEST_HEADER], validate=True), type=_ClientPrincipal
            )
        except (binascii.Error, ValueError):
            return problem(401, "X-MS-CLIENT-PRINCIPAL is not what App Service sends: base64 of JSON with claims")
        claimed = {claim.val for claim in principal.claims if claim.typ in (principal.role_typ, "roles")}
        names = [claim.val for claim in principal.claims if claim.typ in (principal.name_typ, "preferred_username")]
        name = headers.get("x-ms-client-principal-name") or next(iter(names), "")
        if not name.strip():
            return problem(401, "who is signed in has no name: neither a claim nor X-MS-CLIENT-PRINCIPAL-NAME")
        roles: tuple[Role, ...] = ()
        if settings.api_operator_role in claimed:
            roles = _with_lower("operator")
        elif settings.api_read_role in claimed:
            roles = _with_lower("read")
        return Principal(name[:200], roles, "entra")


def _with_lower(role: Role) -> tuple[Role, ...]:
    return ("read", "operator") if role == "operator" else ("read",)


def _forged(headers: Headers, url: URL, settings: Settings) -> Response | None:
    """Return a refusal of what another site's page may have made a browser send."""
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
            f"the request comes from a page of `{origin}`, which is not the app's own; DASHBOARD_URL allows another",
        )
    return None
