"""The API: who may do what."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from api_client import as_problem, client_of
from starlette.requests import Request
from starlette.responses import JSONResponse

from sensorwatch.api.access import Access
from sensorwatch.errors import SettingsError
from sensorwatch.settings import Settings, load_settings

if TYPE_CHECKING:
    import httpx
    from starlette.types import Receive, Scope, Send

SITE = "https://app.example"
JSON = {"Content-Type": "application/json"}
SWITCHED_ON = {"WEBSITE_AUTH_ENABLED": "True"}


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Say who got through."""
    sender = Request(scope).state.principal
    await JSONResponse({"name": sender.name, "roles": sender.roles})(scope, receive, send)


def client(mode: str, site: str = SITE, environment: dict[str, str] | None = None, **settings: str) -> httpx.Client:
    loaded = load_settings({"DATABASE_URL": "sqlite:///:memory:", "API_AUTHENTICATION": mode, **settings})
    return client_of(Access(behind, lambda: loaded, SWITCHED_ON if environment is None else environment), site)


def signed_in(*roles: str, name: str = "anna@example.com", role_typ: str = "roles") -> dict[str, str]:
    claims = [{"typ": role_typ, "val": role} for role in roles] + [{"typ": "name", "val": name}]
    content = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": role_typ}
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(content).encode()).decode()}


OPERATOR = signed_in("Sensorwatch.Operator")


@pytest.mark.parametrize("site", ["http://127.0.0.1:7071", "http://localhost:7071"])
def test_locally_everybody_is_an_operator(site: str) -> None:
    answer = client("local", site).post("/api/x", headers=JSON)
    assert answer.json() == {"name": "local", "roles": ["read", "operator"]}


def test_local_refuses_another_host_name() -> None:
    assert "API_AUTHENTICATION" in as_problem(client("local").get("/"), 403)["detail"]


def test_a_key_holder_has_the_role_of_the_setting_and_the_header_counts_for_nothing() -> None:
    assert client("key").get("/", headers=OPERATOR).json() == {"name": "key", "roles": ["read"]}
    as_problem(client("key").post("/", headers=JSON | OPERATOR), 403)
    assert client("key", API_KEY_ROLE="operator").post("/", headers=JSON).status_code == 200


def test_a_role_in_entra_opens_what_it_is_for() -> None:
    entra = client("entra")
    reader = signed_in("Sensorwatch.Read")
    assert entra.get("/", headers=reader).json() == {"name": "anna@example.com", "roles": ["read"]}
    as_problem(entra.post("/", headers=JSON | reader), 403)
    assert entra.post("/", headers=JSON | OPERATOR).status_code == 200
    as_problem(entra.get("/", headers=signed_in("Somebody.Else")), 403)
    uri = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
    assert entra.get("/", headers=signed_in("Sensorwatch.Read", role_typ=uri)).status_code == 200
    assert client("entra", API_READ_ROLE="Looker").get("/", headers=signed_in("Looker")).status_code == 200


def test_the_header_counts_only_while_app_service_authentication_is_on() -> None:
    for environment in ({}, {"WEBSITE_AUTH_ENABLED": "False"}, {"WEBSITE_AUTH_ENABLED": ""}):
        off = client("entra", environment=environment)
        assert "App Service authentication is off" in as_problem(off.get("/", headers=OPERATOR), 503)["detail"]


@pytest.mark.parametrize("value", ["", "%%%", "bm90IGpzb24=", base64.b64encode(b"[]").decode(), "A" * 40_000])
def test_a_header_that_app_service_never_sends_is_refused(value: str) -> None:
    as_problem(client("entra").get("/", headers={"X-MS-CLIENT-PRINCIPAL": value}), 401)


def test_nobody_signed_in_is_refused() -> None:
    assert "/.auth/login/aad" in as_problem(client("entra").get("/"), 401)["detail"]
    as_problem(client("entra").get("/", headers=signed_in("Sensorwatch.Read", name=" ")), 401)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (JSON | {"Origin": "https://evil.example"}, 403),
        (JSON | {"Origin": "null"}, 403),
        (JSON | {"Origin": "http://app.example"}, 403),
        (JSON | {"Sec-Fetch-Site": "cross-site"}, 403),
        (JSON | {"Origin": SITE, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_another_sites_page_can_not_act(headers: dict[str, str], status: int) -> None:
    assert client("entra").post("/", headers=OPERATOR | headers).status_code == status


def test_the_dashboards_own_origin_may_be_another() -> None:
    elsewhere = client("entra", DASHBOARD_URL="https://board.example/path")
    assert elsewhere.post("/", headers=JSON | OPERATOR | {"Origin": "https://board.example"}).status_code == 200


def test_without_settings_every_request_is_answered_with_the_reason() -> None:
    def refuse() -> Settings:
        raise SettingsError("DATABASE_URL: missing")

    assert as_problem(client_of(Access(behind, refuse)).get("/"), 503)["detail"] == "DATABASE_URL: missing"
