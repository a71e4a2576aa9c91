"""HTTP trigger of the API and the dashboard, for all routes."""

from __future__ import annotations

import asyncio
import os
from functools import cache

import azure.functions as func

from sensorwatch.app import get_product

__all__ = ["blueprint"]

blueprint = func.Blueprint()

# Decorators run before the settings are validated. The host needs no key only if App Service signs people in, and then
# the API itself refuses requests without a sign-in.
_AUTH_LEVEL = func.AuthLevel.ANONYMOUS if os.environ.get("API_AUTHENTICATION") == "entra" else func.AuthLevel.FUNCTION


@blueprint.function_name("api")
@blueprint.route(route="{*path}", methods=list(func.HttpMethod), auth_level=_AUTH_LEVEL)
async def api(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Answer a request of the API or the dashboard."""
    # The first request loads FastAPI, on a thread so that events of other functions don't wait for it.
    site = await asyncio.to_thread(_site)
    response: func.HttpResponse = await site.handle_async(req, context)
    return response


@cache
def _site() -> func.AsgiMiddleware:
    from sensorwatch.api.app import create_app
    from sensorwatch.api.gc_tuning import freeze_long_lived_objects

    site = func.AsgiMiddleware(create_app(lambda: get_product()))
    freeze_long_lived_objects()
    return site
