"""When a sensor's silence becomes an alert, and when it is over (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.alerts.records import Alert, AlertChanges, Notification

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.ports import WatchStore
    from sensorwatch.alerts.records import SilentSensor

__all__ = ["SEVERITY", "SilenceOutcome", "silence_changes", "silent_alerts", "watch_silence"]

SEVERITY = "high"
"""Severity of every such alert; its score is the middle of that severity's range."""

_SCORE = 87.5


def silent_alerts(silent: Iterable[SilentSensor], policy: AlertPolicy, now: int) -> list[Alert]:
    """Return the alerts of sensors that are silent for too long, open or over as the store may have them.

    The id follows from the sensor and its last window, so the same silence always gives the same alert. Silence counts
    from the last window, or from the end of the sensor's maintenance where that is later; ``opened_end`` is when it was
    too long.

    Parameters
    ----------
    silent
        Sensors with their last window and usual interval.
    policy
        What alerts.
    now
        Seconds since 1970-01-01T00:00:00Z.
    """
    found = []
    for sensor in silent:
        limits = policy.silence_limits(sensor.key)
        if limits is None or now - sensor.last_window > policy.defaults.retired_seconds:
            continue
        since = policy.maintenance.last_end(sensor.key, sensor.last_window, now) or sensor.last_window
        due = max(since, sensor.last_window) + int(
            max(limits.floor_seconds, limits.intervals * sensor.interval_seconds)
        )
        if due < now and not policy.suppressed_now(sensor.key, now):
            found.append(_alert(sensor, due))
    return found


def _alert(sensor: SilentSensor, opened_end: int) -> Alert:
    return Alert(
        alert_id=f"{sensor.sensor_id}-no-data-{sensor.last_window}",
        sensor_id=sensor.sensor_id,
        opened_end=opened_end,
        last_anomaly_end=sensor.last_window,
        cleared_end=None,
        anomalies=0,
        peak_score=_SCORE,
        severity=SEVERITY,
        kind="no-data",
    )


def silence_changes(
    silent: Iterable[Alert],
    stored: Mapping[str, Alert],
    heard: Mapping[int, SilentSensor],
    policy: AlertPolicy,
    now: int,
) -> AlertChanges:
    """Return what to store: new silences are opened, those that are over cleared.

    Parameters
    ----------
    silent
        As :func:`silent_alerts` has them.
    stored
        The stored alerts among those of ``silent``, and the open ones, by id.
    heard
        Sensors of open alerts, with their last windows as they are now.
    policy
        What alerts: a sensor that is retired, or not watched any more, is not silent.
    now
        Seconds since 1970-01-01T00:00:00Z.
    """
    opened = [alert for alert in silent if alert.alert_id not in stored]
    cleared = [
        replace(alert, cleared_end=max(end, alert.opened_end))
        for alert in stored.values()
        if alert.cleared_end is None
        and (sensor := heard.get(alert.sensor_id)) is not None
        and (end := _over_at(alert, sensor, policy, now)) is not None
    ]
    notifications = [Notification(f"{alert.alert_id}:opened", "opened", alert) for alert in opened]
    notifications += [Notification(f"{alert.alert_id}:cleared", "cleared", alert) for alert in cleared]
    return AlertChanges(states=(), alerts=[*opened, *cleared], notifications=notifications)


def _over_at(alert: Alert, sensor: SilentSensor, policy: AlertPolicy, now: int) -> int | None:
    if sensor.last_window > alert.last_anomaly_end:
        return sensor.last_window
    retired = now - sensor.last_window > policy.defaults.retired_seconds
    return now if retired or policy.silence_limits(sensor.key) is None else None


class SilenceOutcome(NamedTuple):
    """Alerts of silent sensors that were opened and cleared."""

    opened: int
    cleared: int


def watch_silence(*, store: WatchStore, policy: AlertPolicy, now: datetime) -> SilenceOutcome:
    """Open and clear the alerts of silent sensors.

    Only sensors that training has seen are watched, as it says how often they usually report. Doing it twice changes
    nothing: an alert's id follows from the sensor and its last window.

    Parameters
    ----------
    now
        Current time (UTC).
    """
    seconds = int(now.timestamp())
    limits = policy.lowest_silence_limits
    silent = store.silent_sensors(seconds, limits.intervals, limits.floor_seconds, policy.defaults.retired_seconds)
    found = silent_alerts(silent, policy, seconds)
    open_before, heard = store.silenced()
    wanted = {alert.alert_id for alert in found} | open_before.keys()
    if not wanted:
        return SilenceOutcome(0, 0)

    def decide(stored: Mapping[str, Alert]) -> AlertChanges:
        return silence_changes(found, stored, heard, policy, seconds)

    if not decide(open_before).alerts:
        return SilenceOutcome(0, 0)
    return SilenceOutcome(*store.settle_alerts(wanted, decide))
