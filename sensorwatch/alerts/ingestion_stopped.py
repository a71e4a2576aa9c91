"""Alerts of kind ``ingestion-stopped``: no reading at all was ingested for much longer than usual.

Absence is judged against progress. If nothing is ingested, whether nothing arrives or ingestion does not run, one alert
says so, and no sensor counts as being without data. The same holds while the fleet's newest window is old: a recording
is replayed, or a backlog arrives after an outage. Once readings of now arrive again, every sensor has its usual time to
report before it counts as being without data.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.alerts.records import Alert, AlertChanges
from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.ports import IngestionWatchStore

__all__ = ["INGESTION_KEY", "IngestionOutcome", "Progress", "stop_limit_seconds", "watch_ingestion"]

INGESTION_KEY = SensorKey("sensorwatch", "ingestion")
"""Name of the alert in the catalogue of sensors, so that rules, muting and downtime apply to it."""

_SEVERITY = "critical"
_SCORE = 97.5
"""Middle of the severity's range of scores."""


class Progress(NamedTuple):
    """Progress of ingestion, against which the absence of data is judged.

    Attributes
    ----------
    is_live
        Whether readings of now are ingested. If not, no sensor counts as being without data.
    resumed_at
        End of the last stop of ingestion, in seconds since 1970-01-01T00:00:00Z; 0 if there was none. No gap starts
        earlier.
    """

    is_live: bool = True
    resumed_at: int = 0


class IngestionOutcome(NamedTuple):
    """Numbers of alerts opened and cleared, and the progress of ingestion."""

    opened: int
    cleared: int
    progress: Progress


def stop_limit_seconds(interval_seconds: int, gap_seconds: int, policy: AlertPolicy) -> int | None:
    """Return the time without any reading after which ingestion counts as stopped; None if rules switch this off.

    Parameters
    ----------
    interval_seconds, gap_seconds
        Usual interval and longest usual gap of the sensor that reports most often, in seconds.
    policy
        Limits of sensors without data, which apply here too.
    """
    limits = policy.no_data_limits(INGESTION_KEY)
    return None if limits is None else limits.seconds(interval_seconds, gap_seconds)


def watch_ingestion(*, store: IngestionWatchStore, policy: AlertPolicy, now: datetime) -> IngestionOutcome:
    """Open or clear the alert of stopped ingestion; return it with the progress of ingestion.

    Running it twice changes nothing: the alert's id follows from the time of the last progress.

    Parameters
    ----------
    store
        Store of sensors, counts and alerts.
    policy
        Limits of sensors without data.
    now
        Current time (UTC).
    """
    seconds = int(now.timestamp())
    progressed_at = int(store.ingestion_progress(now).timestamp())
    open_ones, last_cleared = store.ingestion_alerts()
    fastest = store.fastest_sensor(seconds - policy.defaults.retired_seconds)
    limit = None if fastest is None else stop_limit_seconds(*fastest, policy)
    if limit is None:
        return _settle(store, [], open_ones, seconds, Progress(resumed_at=last_cleared))
    stopped = seconds - progressed_at > limit and not policy.suppressed_now(INGESTION_KEY, seconds)
    found = [_alert(store, progressed_at, limit)] if stopped else []
    newest = store.newest_window()
    is_live = not stopped and newest is not None and seconds - int(newest.timestamp()) <= limit
    resumed_at = max(last_cleared, progressed_at if open_ones and not stopped else 0)
    return _settle(store, found, open_ones, progressed_at, Progress(is_live, resumed_at))


def _alert(store: IngestionWatchStore, progressed_at: int, limit: int) -> Alert:
    sensor_id = store.sensor_ids([INGESTION_KEY])[INGESTION_KEY]
    since = f"{datetime.fromtimestamp(progressed_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Alert(
        alert_id=f"{sensor_id}-ingestion-stopped-{progressed_at}",
        sensor_id=sensor_id,
        opened_end=progressed_at + limit,
        last_anomaly_end=progressed_at,
        cleared_end=None,
        anomalies=0,
        peak_score=_SCORE,
        severity=_SEVERITY,
        kind="ingestion-stopped",
        explanation=f"no reading was ingested since {since}; check senders, event hub and the function `ingest`",
    )


def _settle(
    store: IngestionWatchStore, found: list[Alert], open_ones: Mapping[str, Alert], ended_at: int, progress: Progress
) -> IngestionOutcome:
    over = [alert_id for alert_id in open_ones if alert_id not in {alert.alert_id for alert in found}]
    new = [alert for alert in found if alert.alert_id not in open_ones]
    if not over and not new:
        return IngestionOutcome(0, 0, progress)

    def decide(stored: Mapping[str, Alert]) -> AlertChanges:
        opened = [alert for alert in new if alert.alert_id not in stored]
        cleared = [
            replace(alert, cleared_end=max(ended_at, alert.opened_end))
            for alert_id in over
            if (alert := stored[alert_id]).cleared_end is None
        ]
        return AlertChanges.of(opened, cleared)

    opened, cleared = store.settle_alerts([*over, *(alert.alert_id for alert in new)], decide)
    return IngestionOutcome(opened, cleared, progress)
