"""Metrics and span attributes of anomalies and alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sensorwatch.telemetry.metrics import ALERTS_CLEARED, ALERTS_OPENED, ANOMALIES, WITHDRAWN

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from sensorwatch.alerts.records import PublishOutcome

__all__ = ["count_alerts", "count_published", "note_published"]


def count_published(outcome: PublishOutcome) -> None:
    """Count the changes that publishing anomalies made."""
    if outcome.anomalies_added:
        ANOMALIES.record(outcome.anomalies_added)
    if outcome.anomalies_withdrawn:
        WITHDRAWN.record(outcome.anomalies_withdrawn)
    count_alerts(outcome.alerts_opened, outcome.alerts_cleared)


def count_alerts(opened: int, cleared: int) -> None:
    """Count alerts that opened and cleared."""
    if opened:
        ALERTS_OPENED.record(opened)
    if cleared:
        ALERTS_CLEARED.record(cleared)


def note_published(of: Span, outcome: PublishOutcome) -> None:
    """Record the outcome of a publication in its span."""
    of.set_attributes(
        {
            "sensorwatch.anomalies": outcome.anomalies_added,
            "sensorwatch.alerts.opened": outcome.alerts_opened,
            "sensorwatch.alerts.cleared": outcome.alerts_cleared,
        }
    )
