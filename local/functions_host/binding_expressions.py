"""Expressions in bindings: ``%NAME%`` (app setting), ``container/{name}.csv`` (blob path), ``hh:mm:ss`` (time span)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.functions_host.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BlobPath", "parse_blob_path", "parse_time_span", "resolve_settings"]

_SETTING = re.compile(r"%([^%]+)%")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TIME_SPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d+)?)")


def resolve_settings(text: str, settings: Mapping[str, str], where: str) -> str:
    """Replace every ``%NAME%`` by the app setting of that name.

    Parameters
    ----------
    text
        Text with expressions.
    settings
        App settings.
    where
        Function and binding, for messages.

    Raises
    ------
    HostError
        A setting is missing or empty.

    Examples
    --------
    >>> resolve_settings("%HUB%-copy", {"HUB": "readings"}, "function ingest")
    'readings-copy'
    """

    def value(match: re.Match[str]) -> str:
        found = settings.get(match[1], "")
        if not found:
            raise HostError(
                f"{where}: app setting {match[1]} is missing; set it in the environment or in local.settings.json "
                "under Values"
            )
        return found

    return _SETTING.sub(value, text)


@dataclass(frozen=True, slots=True)
class BlobPath:
    """Blobs that a trigger watches: a container and a pattern of names in it."""

    container: str
    prefix: str
    pattern: re.Pattern[str]

    def match(self, name: str) -> dict[str, str] | None:
        """Return the values of the expressions for a blob name, or None if the name does not match."""
        found = self.pattern.fullmatch(name)
        return found.groupdict() if found else None


def parse_blob_path(path: str, where: str) -> BlobPath:
    """Parse the ``path`` of a blob trigger; a container alone means every blob in it.

    Raises
    ------
    HostError
        The container is missing or an expression, or a brace is not closed.

    Examples
    --------
    >>> parse_blob_path("predictions/{day}/{name}.csv", "function results").match("2026/a.csv")
    {'day': '2026', 'name': 'a'}
    """
    container, _, blob = path.partition("/")
    if not container or "{" in container:
        raise HostError(f"{where}: expected a path `container/pattern` with a fixed container, got `{path}`")
    if not blob:
        return BlobPath(container, "", re.compile(".*", re.DOTALL))
    parts = _PARAMETER.split(blob)
    if any("{" in literal or "}" in literal for literal in parts[::2]):
        raise HostError(f"{where}: expected expressions like {{name}} in the path, got `{path}`")
    seen: set[str] = set()
    pattern = ""
    for literal, name in zip(parts[::2], [*parts[1::2], ""], strict=True):
        pattern += re.escape(literal)
        if name:
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.+)"
            seen.add(name)
    return BlobPath(container, parts[0], re.compile(pattern, re.DOTALL))


def parse_time_span(text: str, where: str) -> float:
    """Return the seconds of a .NET time span ``[d.]hh:mm:ss[.fff]``.

    Raises
    ------
    HostError
        The text has another form.

    Examples
    --------
    >>> parse_time_span("00:01:30", "host.json")
    90.0
    """
    match = _TIME_SPAN.fullmatch(text)
    if match is None:
        raise HostError(f"{where}: expected a time like 00:00:30, got `{text}`")
    hours = int(match["days"] or 0) * 24 + int(match["hours"])
    return hours * 3600 + int(match["minutes"]) * 60 + float(match["seconds"])
