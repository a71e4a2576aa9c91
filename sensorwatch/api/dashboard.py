"""Files of the dashboard: the folder ``web`` beside the packages, which is published with the app."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

import sensorwatch
from sensorwatch.errors import NotFoundError

__all__ = ["WEB_FOLDER", "router"]

WEB_FOLDER = Path(sensorwatch.__file__).parents[1] / "web"

router = APIRouter(include_in_schema=False)

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Content types by file suffix; files with other suffixes are not served."""


@router.get("/")
def index(request: Request) -> Response:
    """Return the dashboard's page."""
    return _file(request, "index.html")


@router.get("/web")
def folder() -> Response:
    """Redirect to the page."""
    return RedirectResponse("/", 307)


@router.get("/web/{path:path}")
def file(request: Request, path: str) -> Response:
    """Return a file of the dashboard."""
    return _file(request, path)


def _file(request: Request, name: str) -> Response:
    folder: Path = request.app.state.web_folder
    if not folder.is_dir():
        raise NotFoundError("the dashboard is not installed with this app; use the API instead, see /api/openapi.json")
    kind = _TYPES.get(Path(name).suffix)
    hidden = any(part.startswith(".") for part in name.split("/"))
    if kind is not None and not hidden and "\0" not in name and "\\" not in name:
        path = (folder / name).resolve()
        if path.is_relative_to(folder.resolve()) and path.is_file():
            return Response(path.read_bytes(), media_type=kind)
    raise NotFoundError(f"the dashboard has no file `{name[:200]}`")
