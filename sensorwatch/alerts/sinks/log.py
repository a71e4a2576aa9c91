"""Alerts in the log: always enabled, and usable for alerts of Application Insights."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sensorwatch.alerts.message import facts, headline

if TYPE_CHECKING:
    from sensorwatch.alerts.message import AlertMessage

__all__ = ["LogSink"]

_log = logging.getLogger("sensorwatch.alerts")


class LogSink:
    """Writes one warning per notification, with its idempotency key."""

    name = "log"
    waits = False

    def send(self, message: AlertMessage) -> None:
        """Log one notification."""
        details = "; ".join(f"{label.lower()} {value}" for label, value in facts(message.payload))
        _log.warning("%s [%s]: %s", headline(message.payload), message.key, details)

    def close(self) -> None:
        """Do nothing: no connection stays open."""
