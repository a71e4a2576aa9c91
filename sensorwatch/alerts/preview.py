"""Preview of alert rules: the alerts that they would have raised for past anomalies."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sensorwatch.alerts.state_machine import ScoredWindow, advance
from sensorwatch.sensors.ports import ProfileStore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.records import Anomaly
    from sensorwatch.alerts.state_machine import AlertRules
    from sensorwatch.sensors.records import ReportingProfile, SensorKey, SensorStatus

__all__ = ["PreviewStore", "SensorPreview", "preview", "preview_rules"]

_INDEPENDENT_REASONS = ("feedback ", "warming")
"""Prefixes of reasons that do not depend on rules: feedback on an alert, and a fallback model."""


class SensorPreview(NamedTuple):
    """Numbers of anomalous windows, suppressed windows and alerts of a sensor, with current and proposed rules.

    Attributes
    ----------
    rule
        Name of the proposed rule for the sensor.
    sensor_id, key
        The sensor.
    anomalies
        Anomalous windows.
    suppressed, alerts
        Suppressed windows and alerts with the current rules.
    would_be_suppressed, would_be_alerts
        Suppressed windows and alerts with the proposed rules.
    """

    rule: str
    sensor_id: int
    key: SensorKey
    anomalies: int
    suppressed: int
    would_be_suppressed: int
    alerts: int
    would_be_alerts: int


def preview(
    anomalies: Sequence[Anomaly],
    keys: Mapping[int, SensorKey],
    profiles: Mapping[int, ReportingProfile],
    in_force: AlertPolicy,
    proposed: AlertPolicy,
) -> list[SensorPreview]:
    """Return the effect of two policies on the same anomalous windows, one row per sensor, ordered by id. Pure.

    Only anomalous windows are known, so normal windows are assumed between them at the sensor's usual interval. An
    alert that was open before the first window counts as one alert.

    Parameters
    ----------
    anomalies
        Anomalous windows, ordered by sensor and end.
    keys
        Names of their sensors, by id.
    profiles
        Reporting profiles, by sensor id; a sensor without one is assumed to report every window.
    in_force
        Current policy.
    proposed
        Proposed policy.
    """
    now, then = (_reasons(anomalies, keys, policy) for policy in (in_force, proposed))
    rows = []
    position = 0
    for sensor_id, group in groupby(anomalies, lambda anomaly: anomaly.sensor_id):
        of_sensor = list(group)
        chosen = slice(position, position + len(of_sensor))
        position += len(of_sensor)
        key, profile = keys[sensor_id], profiles.get(sensor_id)
        interval = in_force.defaults.window_seconds if profile is None else profile.interval_seconds
        rows.append(
            SensorPreview(
                rule=proposed.rule_name(key),
                sensor_id=sensor_id,
                key=key,
                anomalies=len(of_sensor),
                suppressed=sum(map(bool, now[chosen])),
                would_be_suppressed=sum(map(bool, then[chosen])),
                alerts=_alerts(sensor_id, of_sensor, now[chosen], in_force.rules(key, profile), interval),
                would_be_alerts=_alerts(sensor_id, of_sensor, then[chosen], proposed.rules(key, profile), interval),
            )
        )
    return rows


def _reasons(anomalies: Sequence[Anomaly], keys: Mapping[int, SensorKey], policy: AlertPolicy) -> list[str]:
    return [
        anomaly.suppressed if anomaly.suppressed.startswith(_INDEPENDENT_REASONS) else reason
        for anomaly, reason in zip(anomalies, policy.suppressions(anomalies, keys), strict=True)
    ]


def _alerts(
    sensor_id: int, anomalies: Sequence[Anomaly], reasons: Sequence[str], rules: AlertRules, interval: int
) -> int:
    windows: list[ScoredWindow] = []
    for i, anomaly in enumerate(anomalies):
        if i:
            windows += _between(anomalies[i - 1].end, anomaly.end, rules, interval)
        windows.append(ScoredWindow(anomaly.end, anomaly.score, anomaly.severity, not reasons[i]))
    changes = advance({}, {sensor_id: windows}, rules)
    return sum(notification.event == "opened" for notification in changes.notifications)


def _between(after: int, before: int, rules: AlertRules, interval: int) -> list[ScoredWindow]:
    """Return the normal windows that may affect the state: the next ``n``, and the last one before ``before``."""
    ends = [after + interval * i for i in range(1, rules.recent_windows + 1)]
    ends.append(after + interval * ((before - after - 1) // interval))
    return [ScoredWindow(end, 0.0, "normal", False) for end in sorted({end for end in ends if after < end < before})]


class PreviewStore(ProfileStore, Protocol):
    """Methods of the store that a preview uses."""

    def anomalies_between(self, start: datetime, end: datetime) -> list[Anomaly]:
        """Return all anomalies with ``start < end of the window <= end``, ordered by sensor and end."""
        ...

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """As :meth:`sensorwatch.sensors.ports.SensorStore.sensors_by_id`."""
        ...


def preview_rules(
    *, store: PreviewStore, in_force: AlertPolicy, proposed: AlertPolicy, start: datetime, end: datetime
) -> list[SensorPreview]:
    """Return the effect of two policies on the stored anomalies of a period.

    Stored anomalies are sufficient, because rules only suppress anomalous windows, and suppressed windows are stored
    too.

    Parameters
    ----------
    store
        Store of anomalies and sensors.
    in_force
        Current policy.
    proposed
        Proposed policy.
    start, end
        Period: ``start < end of the window <= end`` (UTC).
    """
    anomalies = store.anomalies_between(start, end)
    ids = {anomaly.sensor_id for anomaly in anomalies}
    keys = {sensor_id: status.key for sensor_id, status in store.sensors_by_id(ids).items()}
    return preview(anomalies, keys, store.reporting_profiles(ids), in_force, proposed)
