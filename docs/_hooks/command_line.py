"""Render every command into the page that holds the marker, by Typer's own generator."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

__all__ = ["MARKER", "command_reference", "on_page_markdown"]

MARKER = "<!-- commands -->"
_GENERATE = (sys.executable, "-m", "typer", "sensorwatch.cli.app", "utils", "docs", "--name", "sensorwatch")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marker by the commands; mkdocs calls this for every page."""
    return markdown.replace(MARKER, command_reference()) if MARKER in markdown else markdown


def command_reference() -> str:
    """Describe all commands with their arguments and options in Markdown, without a title."""
    done = subprocess.run(_GENERATE, check=True, capture_output=True, encoding="utf-8")
    _, _, body = done.stdout.partition("**Usage**")
    return f"**Usage**{body}".replace("`$ ", "`")
