"""The API over a SQLite file, asked in-process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from fakes.clock import FakeClock
    from fakes.models import FakeRegistry
    from fakes.tasks import FakeTaskLogs
    from starlette.types import ASGIApp

    from sensorwatch.app import Product

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
T0 = int(NOW.timestamp())
SHARD_SIZE = 10


@dataclass
class Api:
    """A client of the API, and what is behind it."""

    client: httpx.Client
    product: Product
    clock: FakeClock
    registry: FakeRegistry
    logs: FakeTaskLogs

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the content of a good answer."""
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object) -> httpx.Response:
        return self.client.post(path, json=body)

    def pages(self, path: str, **parameters: Any) -> list[list[Any]]:
        """Return all pages of a list."""
        found: list[list[Any]] = []
        after: dict[str, str] = {}
        while True:
            page = self.get(path, **parameters, **after)
            found.append(page["items"])
            if page["next"] is None:
                return found
            after = {"after": page["next"]}

    def problem(self, path: str, status: int, **parameters: Any) -> dict[str, Any]:
        """Return the problem that is answered with."""
        return as_problem(self.client.get(path, params=parameters), status)

    def add_sensors(self, *names: tuple[str, str]) -> None:
        self.product.store.sensor_ids([SensorKey(*name) for name in names])


class InProcess(httpx.BaseTransport):
    """Hands requests to a web application, without a server."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self._transport.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(ask())


def client_of(app: ASGIApp, base_url: str = "http://127.0.0.1") -> httpx.Client:
    """Return a client of a web application."""
    return httpx.Client(transport=InProcess(app), base_url=base_url)


def as_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem in an answer, which has this status."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    content: dict[str, Any] = answer.json()
    assert content["status"] == status
    return content
