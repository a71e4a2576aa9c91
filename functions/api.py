"""What the outside may ask over HTTP: every route is the API's."""

from __future__ import annotations

import asyncio
import os
from functools import cache

import azure.functions as func

from sensorwatch.wiring import wiring

__all__ = ["blueprint"]

blueprint = func.Blueprint()

# Decorators run before any settings are validated. Only where App Service signs people in can the host do without a
# key, and there the API itself refuses who is not signed in.
_AUTH_LEVEL = func.AuthLevel.ANONYMOUS if os.environ.get("API_AUTHENTICATION") == "entra" else func.AuthLevel.FUNCTION


@blueprint.function_name("api")
@blueprint.route(route="{*path}", methods=list(func.HttpMethod), auth_level=_AUTH_LEVEL)
async def api(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Answer a request of the API or the dashboard."""
    # The first request loads FastAPI, on a thread: other functions' events are not to wait for it.
    site = await asyncio.to_thread(_site)
    response: func.HttpResponse = await site.handle_async(req, context)
    return response


@cache
def _site() -> func.AsgiMiddleware:
    from sensorwatch.api.app import create_app
    from sensorwatch.api.gc_tuning import freeze_long_lived_objects

    site = func.AsgiMiddleware(create_app(lambda: wiring()))
    freeze_long_lived_objects()
    return site
