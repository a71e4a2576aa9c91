"""Options in ``host.json`` that the local host supports, with the defaults of the real host."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.functions_host.binding_expressions import parse_time_span
from local.functions_host.errors import HostError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["EventHubOptions", "HostJson", "read_host_json"]

_LOG_LEVELS = {
    "trace": "DEBUG",
    "debug": "DEBUG",
    "information": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
    "none": "CRITICAL",
}


@dataclass(frozen=True, slots=True)
class EventHubOptions:
    """Section ``extensions.eventHubs``; ``initial_position`` is ``-1`` (start), ``@latest`` or a time, for the SDK."""

    max_batch_size: int = 100
    min_batch_size: int = 1
    max_wait_seconds: float = 60.0
    prefetch: int = 300
    batches_per_checkpoint: int = 1
    initial_position: str | datetime = "-1"


@dataclass(frozen=True, slots=True)
class HostJson:
    """Options of the host; ``log_level`` is a level name of :mod:`logging`."""

    event_hubs: EventHubOptions
    blob_parallelism: int
    blob_tries: int
    route_prefix: str
    log_level: str


def read_host_json(path: Path) -> HostJson:
    """Read the file.

    Raises
    ------
    HostError
        The file is missing or not JSON, or has an invalid value.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HostError(f"{path}: no such file; set --app to the folder of host.json") from None
    except ValueError as exc:
        raise HostError(f"{path}: expected JSON, got: {exc}") from None
    extensions = _section(content, "extensions", path)
    blobs = _section(extensions, "blobs", path)
    levels = _section(_section(content, "logging", path), "logLevel", path)
    level = levels.get("default", "Information")
    if str(level).lower() not in _LOG_LEVELS:
        raise HostError(f"{path}: logging.logLevel.default: expected a level like Information, got `{level}`")
    return HostJson(
        event_hubs=_event_hub_options(_section(extensions, "eventHubs", path), path),
        blob_parallelism=_integer(blobs, "maxDegreeOfParallelism", 8 * (os.cpu_count() or 1), path),
        blob_tries=_integer(blobs, "poisonBlobThreshold", 5, path),
        route_prefix=str(_section(extensions, "http", path).get("routePrefix", "api")).strip("/"),
        log_level=_LOG_LEVELS[str(level).lower()],
    )


def _event_hub_options(section: dict[str, Any], path: Path) -> EventHubOptions:
    default = EventHubOptions()
    most = _integer(section, "maxEventBatchSize", default.max_batch_size, path)
    least = _integer(section, "minEventBatchSize", default.min_batch_size, path)
    if least > most:
        raise HostError(f"{path}: minEventBatchSize ({least}) must not exceed maxEventBatchSize ({most})")
    wait = section.get("maxWaitTime")
    return EventHubOptions(
        max_batch_size=most,
        min_batch_size=least,
        max_wait_seconds=default.max_wait_seconds
        if wait is None
        else parse_time_span(str(wait), f"{path}: maxWaitTime"),
        prefetch=_integer(section, "prefetchCount", default.prefetch, path),
        batches_per_checkpoint=_integer(section, "batchCheckpointFrequency", default.batches_per_checkpoint, path),
        initial_position=_initial_position(_section(section, "initialOffsetOptions", path), path),
    )


def _initial_position(section: dict[str, Any], path: Path) -> str | datetime:
    kind = str(section.get("type", "fromStart"))
    if kind.lower() == "fromstart":
        return "-1"
    if kind.lower() == "fromend":
        return "@latest"
    if kind.lower() != "fromenqueuedtime":
        raise HostError(
            f"{path}: initialOffsetOptions.type: expected fromStart, fromEnd or fromEnqueuedTime, got `{kind}`"
        )
    text = str(section.get("enqueuedTimeUtc", ""))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise HostError(
            f"{path}: initialOffsetOptions.enqueuedTimeUtc: expected a time like 2026-11-20T00:00:00Z, got `{text}`"
        ) from None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _section(parent: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    section = parent.get(key, {}) if isinstance(parent, dict) else None
    if not isinstance(section, dict):
        raise HostError(f"{path}: {key}: expected an object, got `{section}`")
    return section


def _integer(section: dict[str, Any], key: str, default: int, path: Path) -> int:
    value = section.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise HostError(f"{path}: {key}: expected a whole number of 1 or more, got `{value}`")
    return value
