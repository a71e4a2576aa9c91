"""Data of the browser tests: a simulated fleet with faults, and pages whose errors are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flow_steps import END
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from local.stack import Stack
from sensorwatch.simulation.anomalies import InjectedAnomaly
from sensorwatch.simulation.fleet import Fleet

__all__ = [
    "FLAGS",
    "FRESH",
    "HISTORY",
    "HOSTILE",
    "LATE_DEVICE",
    "PICTURES",
    "OpenPage",
    "faults",
    "fleet",
    "watched_context",
]


OpenPage = Callable[..., Page]

PICTURES = os.environ.get("DASHBOARD_PICTURES")
"""Folder for the documentation's pictures, if they are to be taken."""

# Pictures for people show an ordinary device in its place.
HOSTILE = "lathe-5" if PICTURES else '<img src=x onerror="window.hacked=1"><b>x'
"""A device's name that would run as a script wherever it were written as markup."""

LATE_DEVICE = "fan-9"
"""The device whose fault comes while somebody looks."""

_DEVICES = ("press-1", "pump-2", "oven-3", "mill-4", HOSTILE, LATE_DEVICE)
_TAGS = ("temperature", "pressure", "vibration")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
]
HISTORY = timedelta(minutes=50)
FRESH = timedelta(minutes=20)


def fleet() -> Fleet:
    """Return the simulated fleet: six devices with three tags, a reading every 5 seconds."""
    return Fleet(_DEVICES, _TAGS, interval_seconds=5, seed=3)


def faults() -> list[InjectedAnomaly]:
    """Return shifts that are there still: a whole device's, so that there is an incident, and single sensors'."""
    faulty = [("press-1", tag) for tag in _TAGS]
    faulty += [("pump-2", "temperature"), ("oven-3", "pressure"), ("mill-4", "vibration"), (HOSTILE, "temperature")]
    begin = END - timedelta(minutes=6)
    return [InjectedAnomaly(device, tag, "level-shift", begin, END) for device, tag in faulty]


def watched_context(browser: Browser, stack: Stack, complaints: list[str], **options: Any) -> BrowserContext:
    """Return a context whose pages' errors and warnings go into a list."""
    settings: dict[str, Any] = {
        "viewport": {"width": 1280, "height": 800},
        "locale": "en-GB",
        "timezone_id": "Europe/Berlin",
    }
    context = browser.new_context(base_url=stack.host_url, **(settings | options))
    context.set_default_timeout(30_000)

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    context.on("console", heard)
    context.on("weberror", lambda error: complaints.append(f"uncaught: {error.error}"))
    return context
