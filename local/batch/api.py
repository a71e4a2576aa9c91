"""The REST API: an application over the scheduler and its records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware

from local.batch.errors import ServiceError
from local.batch.job_routes import Jobs
from local.batch.pool_routes import Pools
from local.batch.task_routes import Tasks
from local.batch.web import SignedRequests, error_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request
    from starlette.responses import Response

    from local.batch.auth import SharedKey
    from local.batch.scheduler import Scheduler

__all__ = ["create_app"]


def create_app(
    scheduler: Scheduler, key: SharedKey, lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]]
) -> Starlette:
    """Create the application.

    Parameters
    ----------
    scheduler
        Scheduler that the routes change and read.
    key
        Key of the account; a request that it did not sign is refused.
    lifespan
        Context in which the application serves.
    """
    pools, jobs, tasks = Pools(scheduler), Jobs(scheduler), Tasks(scheduler)
    return Starlette(
        routes=[*pools.routes(), *jobs.routes(), *tasks.routes()],
        middleware=[Middleware(SignedRequests, key)],
        exception_handlers={ServiceError: _refuse, 404: _no_such_address, 405: _no_such_method, 500: _broken},
        lifespan=lifespan,
    )


async def _refuse(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, ServiceError)  # noqa: S101 - tells the type checker what the handler is registered for
    return error_response(request, exc)


async def _no_such_address(request: Request, _exc: Exception) -> Response:
    message = "The requested URI does not represent any resource on the local Batch service."
    return error_response(request, ServiceError(404, "ResourceNotFound", message))


async def _no_such_method(request: Request, _exc: Exception) -> Response:
    message = "The resource doesn't support the specified HTTP verb."
    return error_response(request, ServiceError(405, "UnsupportedHttpVerb", message))


async def _broken(request: Request, _exc: Exception) -> Response:
    return error_response(request, ServiceError(500, "InternalError", "The server encountered an internal error."))
