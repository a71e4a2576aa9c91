"""The OpenAPI document, with what all operations have in common."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sensorwatch import __version__
from sensorwatch.api.problems import PROBLEM_TYPE, Problem

__all__ = ["describe"]

_DESCRIPTION = """\
Times are ISO 8601 in UTC. Lists come page by page: `next` of a page is `after` of the next one; a cursor belongs to its
list and filters. Every good answer to GET has an ETag; with `If-None-Match` it is 304 while nothing has changed. GET
needs the role `read`, POST `operator`, a JSON body and, from a browser, the app's own origin. Errors are
`application/problem+json` (RFC 9457).
"""
_EVERYWHERE = {
    400: "Something in the request is not as expected; `errors` names each part.",
    401: "Nobody is signed in.",
    403: "The sender lacks the role, or the request comes from another site's page.",
    500: "The request failed for a reason that the log has.",
    503: "The database or another service is away, or a setting is wrong.",
}
_WITH_PATH_PARAMETER = {404: "There is no such thing."}
_POST = {409: "The state it is in does not allow that, or somebody else was first.", 415: "The body is not JSON."}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document."""
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
        etag = {"ETag": {"description": "Changes when the content does.", "schema": {"type": "string"}}}
        responses["200"] = {**responses["200"], "headers": etag}
        responses["304"] = {"description": "The content is what `If-None-Match` names.", "headers": etag}
    problems = _EVERYWHERE | (_WITH_PATH_PARAMETER if "{" in path else {}) | (_POST if method == "post" else {})
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, text in problems.items():
        responses[str(status)] = {"description": text, "content": content}
    return dict(sorted(responses.items()))
