"""Errors of the API as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sensorwatch.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    SensorwatchError,
    SettingsError,
    TransientError,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["PROBLEM_TYPE", "CrashGuard", "FieldError", "Problem", "handle_errors", "problem"]

PROBLEM_TYPE = "application/problem+json"

_UNKNOWN = "the request failed unexpectedly; the app's log has the reason"

_log = logging.getLogger(__name__)

_STATUS: dict[type[SensorwatchError], int] = {
    InvalidInputError: 400,
    NotFoundError: 404,
    ConflictError: 409,
    TransientError: 503,
    SettingsError: 503,
}


class FieldError(BaseModel):
    """Invalid part of a request."""

    field: str = Field(description="Name of the parameter, or path in the body.", examples=["limit"])
    message: str = Field(examples=["Input should be less than or equal to 1000, got `5000`"])


class Problem(BaseModel):
    """Error of a request (RFC 9457)."""

    type: str = Field("about:blank", description="Always `about:blank`: the status tells the kind of problem.")
    title: str = Field(examples=["Bad Request"])
    status: int = Field(examples=[400])
    detail: str = Field(description="Cause, with the value and what was expected.", examples=["no sensor 7"])
    errors: list[FieldError] | None = Field(None, description="Invalid parts of the request; missing for other errors.")


def problem(
    status: int, detail: str, *, errors: list[FieldError] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem response.

    Parameters
    ----------
    status
        HTTP status.
    detail
        Cause of the error, for people.
    errors
        Invalid parts of the request; None for other errors.
    headers
        Additional HTTP headers.
    """
    body = Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return JSONResponse(body.model_dump(exclude_none=True), status, media_type=PROBLEM_TYPE, headers=headers)


def handle_errors(app: FastAPI) -> None:
    """Convert every exception of a handler to a problem response."""
    app.exception_handler(SensorwatchError)(_of_the_product)
    app.exception_handler(RequestValidationError)(_of_the_request)
    app.exception_handler(HTTPException)(_of_routing)
    app.exception_handler(Exception)(_of_no_kind)


def _of_the_product(_request: Request, exc: Exception) -> Response:
    status = next((_STATUS[kind] for kind in type(exc).__mro__ if kind in _STATUS), 500)
    if status >= 500:
        _log.warning("responded with status %d: %s", status, exc)
    return problem(status, str(exc), headers={"Retry-After": "5"} if status == 503 else None)


def _of_the_request(_request: Request, exc: RequestValidationError) -> Response:
    errors = [_field_error(error) for error in exc.errors()]
    return problem(400, "; ".join(f"{error.field}: {error.message}" for error in errors), errors=errors)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    place = [str(part) for part in error["loc"] if part not in ("query", "path")]
    message = str(error["msg"]).removeprefix("Value error, ")
    given = error.get("input")
    if isinstance(given, str | int | float) and error["type"] != "json_invalid":
        message += f", got `{str(given)[:100]}`"
    return FieldError(field=".".join(place), message=message)


def _of_routing(request: Request, exc: HTTPException) -> Response:
    detail = str(exc.detail)
    if exc.status_code in (404, 405) and detail == HTTPStatus(exc.status_code).phrase:
        what = "path" if exc.status_code == 404 else "method"
        detail = f"unknown {what}: {request.method} {request.url.path}; /api/openapi.json lists all paths and methods"
    return problem(exc.status_code, detail, headers=exc.headers)


def _of_no_kind(_request: Request, _exc: Exception) -> Response:
    return problem(500, _UNKNOWN)


class CrashGuard:
    """Middleware that responds with a problem if the app raises; the cause is written to the log only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with a problem if that fails."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:  # noqa: BLE001 - the outermost middleware: nothing above turns it into a response
            _log.exception("%s %s failed", scope.get("method"), scope.get("path"))
            if not started:
                answer = problem(500, _UNKNOWN)
                await answer(scope, receive, send)
