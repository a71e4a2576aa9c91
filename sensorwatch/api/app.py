"""Assembly of the API: the routers of all resources, and the middleware around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI

from sensorwatch.api import (
    alert_actions,
    alerts,
    anomalies,
    dashboard,
    fleet_map,
    health,
    incidents,
    ingest,
    jobs,
    machines,
    me,
    models,
    overview,
    sensor_models,
    sensors,
    serving,
    windows,
)
from sensorwatch.api.access import Access
from sensorwatch.api.answers import Etags, SecurityHeaders
from sensorwatch.api.documentation import describe
from sensorwatch.api.problems import CrashGuard, handle_errors
from sensorwatch.api.requests import Context
from sensorwatch.app import Product

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["create_api", "create_app"]

_ROUTERS: tuple[APIRouter, ...] = (
    me.router,
    health.router,
    overview.router,
    fleet_map.router,
    ingest.router,
    sensors.router,
    windows.router,
    sensor_models.router,
    anomalies.router,
    alerts.router,
    alert_actions.router,
    incidents.router,
    jobs.router,
    models.router,
    machines.router,
    serving.router,
    dashboard.router,
)


def create_app(product: Callable[[], Product], web_folder: Path = dashboard.WEB_FOLDER) -> ASGIApp:
    """Return the web application with access control, ETags and security headers.

    Parameters
    ----------
    product
        Returns the adapters and use cases. It is called for every request, so that a wrong setting is reported in the
        response and does not stop the app.
    web_folder
        Folder of the dashboard's files.
    """
    return SecurityHeaders(CrashGuard(Access(Etags(create_api(product, web_folder)), lambda: product().settings)))


def create_api(product: Callable[[], Product], web_folder: Path = dashboard.WEB_FOLDER) -> FastAPI:
    """Return the routes without access control; arguments are those of :func:`create_app`."""
    api = FastAPI(
        openapi_url="/api/openapi.json",
        # The pages of both load scripts from a content delivery network.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    api.state.context = Context(product)
    api.state.web_folder = web_folder
    handle_errors(api)
    for router in _ROUTERS:
        api.include_router(router)

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = describe(api)
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]
    return api
