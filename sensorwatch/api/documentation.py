"""OpenAPI document, with the responses common to all operations."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sensorwatch import __version__
from sensorwatch.api.problems import PROBLEM_TYPE, Problem

__all__ = ["describe"]

_DESCRIPTION = """\
Times are ISO 8601 in UTC. Lists are paged: pass `next` of a page as `after` to get the next one. A cursor is valid for
the same list with the same filters. Every successful response to GET has an ETag; with `If-None-Match` the response is
304 if nothing has changed. GET requires the role `read`. POST requires the role `operator`, a JSON body and, from a
browser, the app's own origin. Errors are `application/problem+json` (RFC 9457).
"""
_EVERYWHERE = {
    400: "The request is invalid; `errors` lists each invalid part.",
    401: "The sender is not signed in.",
    403: "The sender lacks the role, or the request comes from a page of another site.",
    500: "The request failed unexpectedly; the app's log has the reason.",
    503: "The database or another service is unavailable, or a setting is invalid.",
}
_WITH_PATH_PARAMETER = {404: "There is no item with this id."}
_POST = {
    409: "The current state does not allow the action, or another change was made at the same time.",
    415: "The body is not JSON.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the app."""
    document = get_openapi(title="Sensorwatch", version=__version__, description=_DESCRIPTION, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {}) | {"Problem": problem}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"] = _responses(path, method, operation["responses"])
    return document


def _responses(path: str, method: str, own: dict[str, Any]) -> dict[str, Any]:
    responses = {status: response for status, response in own.items() if status != "422"}
    if method == "get":
        etag = {"ETag": {"description": "Identifies the content.", "schema": {"type": "string"}}}
        responses["200"] = {**responses["200"], "headers": etag}
        responses["304"] = {
            "description": "The content is unchanged since the response with the ETag in `If-None-Match`.",
            "headers": etag,
        }
    problems = _EVERYWHERE | (_WITH_PATH_PARAMETER if "{" in path else {}) | (_POST if method == "post" else {})
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, text in problems.items():
        responses[str(status)] = {"description": text, "content": content}
    return dict(sorted(responses.items()))
