"""Alerts of kind ``no-data``: sensors that have sent nothing for much longer than usual."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.alerts.ingestion_stopped import Progress
from sensorwatch.alerts.records import Alert, AlertChanges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.ports import NoDataStore
    from sensorwatch.sensors.records import SensorKey

__all__ = ["NoDataOutcome", "SensorActivity", "no_data_alerts", "no_data_changes", "watch_no_data"]

_LIVE = Progress()

_SEVERITY = "high"
_SCORE = 87.5
"""Middle of the severity's range of scores."""


class SensorActivity(NamedTuple):
    """A sensor, the end of its newest window, its usual interval and its longest usual gap, both in seconds."""

    sensor_id: int
    key: SensorKey
    last_window: int
    interval_seconds: int
    gap_seconds: int = 0


def no_data_alerts(
    sensors: Iterable[SensorActivity], policy: AlertPolicy, now: int, resumed_at: int = 0
) -> list[Alert]:
    """Return an alert for every sensor that is without data for too long. Pure.

    The id follows from the sensor and its last window, so the same gap always gives the same alert. The gap starts with
    the last window, or with the end of the sensor's downtime if that is later. ``opened_end`` is the time at which the
    gap became too long.

    Parameters
    ----------
    sensors
        Sensors with their last window and usual interval.
    policy
        Limits of each sensor, and its downtime.
    now
        Seconds since 1970-01-01T00:00:00Z.
    resumed_at
        End of the last stop of ingestion, in the same seconds: no gap starts earlier.
    """
    found = []
    for sensor in sensors:
        limits = policy.no_data_limits(sensor.key)
        if limits is None or now - sensor.last_window > policy.defaults.retired_seconds:
            continue
        since = policy.downtime.last_end(sensor.key, sensor.last_window, now) or sensor.last_window
        due = max(since, sensor.last_window, resumed_at) + limits.seconds(sensor.interval_seconds, sensor.gap_seconds)
        if due < now and not policy.suppressed_now(sensor.key, now):
            found.append(_alert(sensor, due))
    return found


def _alert(sensor: SensorActivity, opened_end: int) -> Alert:
    return Alert(
        alert_id=f"{sensor.sensor_id}-no-data-{sensor.last_window}",
        sensor_id=sensor.sensor_id,
        opened_end=opened_end,
        last_anomaly_end=sensor.last_window,
        cleared_end=None,
        anomalies=0,
        peak_score=_SCORE,
        severity=_SEVERITY,
        kind="no-data",
    )


def no_data_changes(
    found: Iterable[Alert],
    stored: Mapping[str, Alert],
    sensors: Mapping[int, SensorActivity],
    policy: AlertPolicy,
    now: int,
) -> AlertChanges:
    """Return the alerts to open and to clear, with their notifications. Pure.

    An alert clears with the sensor's next window, or when the sensor is retired or no longer watched.

    Parameters
    ----------
    found
        Alerts of the sensors without data, as :func:`no_data_alerts` returns them.
    stored
        Stored alerts by id: those of ``found`` that exist, and the open ones.
    sensors
        Sensors of the open alerts by id, with their current last window.
    policy
        Limits of each sensor, and its age of retirement.
    now
        Seconds since 1970-01-01T00:00:00Z.
    """
    opened = [alert for alert in found if alert.alert_id not in stored]
    cleared = [
        replace(alert, cleared_end=max(end, alert.opened_end))
        for alert in stored.values()
        if alert.cleared_end is None
        and (sensor := sensors.get(alert.sensor_id)) is not None
        and (end := _cleared_at(alert, sensor, policy, now)) is not None
    ]
    return AlertChanges.of(opened, cleared)


def _cleared_at(alert: Alert, sensor: SensorActivity, policy: AlertPolicy, now: int) -> int | None:
    if sensor.last_window > alert.last_anomaly_end:
        return sensor.last_window
    retired = now - sensor.last_window > policy.defaults.retired_seconds
    return now if retired or policy.no_data_limits(sensor.key) is None else None


class NoDataOutcome(NamedTuple):
    """Numbers of alerts of kind ``no-data`` that were opened and cleared."""

    opened: int
    cleared: int


def watch_no_data(
    *, store: NoDataStore, policy: AlertPolicy, now: datetime, progress: Progress = _LIVE
) -> NoDataOutcome:
    """Open and clear the alerts of sensors without data.

    Only trained sensors are watched, because training learns how often a sensor reports. Running it twice changes
    nothing: an alert's id follows from the sensor and its last window.

    Parameters
    ----------
    store
        Store of sensors and alerts.
    policy
        Limits of each sensor.
    now
        Current time (UTC).
    progress
        Progress of ingestion. While it is not live, no alert opens.
    """
    seconds = int(now.timestamp())
    limits = policy.lowest_no_data_limits
    overdue = store.sensors_without_data(
        seconds, limits.intervals, limits.floor_seconds, policy.defaults.retired_seconds
    )
    found = no_data_alerts(overdue, policy, seconds, progress.resumed_at) if progress.is_live else []
    open_before, sensors = store.open_no_data_alerts()
    wanted = {alert.alert_id for alert in found} | open_before.keys()
    if not wanted:
        return NoDataOutcome(0, 0)

    def decide(stored: Mapping[str, Alert]) -> AlertChanges:
        return no_data_changes(found, stored, sensors, policy, seconds)

    if not decide(open_before).alerts:
        return NoDataOutcome(0, 0)
    return NoDataOutcome(*store.settle_alerts(wanted, decide))
