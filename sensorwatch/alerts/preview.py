"""How many alerts rules would have raised over windows that are known to be anomalous (pure)."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sensorwatch.alerts.ports import WatchStore
from sensorwatch.alerts.state_machine import ScoredWindow, advance
from sensorwatch.sensors.ports import SensorStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.records import Anomaly
    from sensorwatch.alerts.state_machine import AlertRules
    from sensorwatch.sensors.records import ReportingProfile, SensorKey

__all__ = ["PreviewStore", "SensorPreview", "preview", "preview_rules"]

_WHATEVER_THE_RULES = ("feedback ", "warming")
"""How reasons begin that no rule gives: what people said of an alert, and that a model was a stand-in."""


class SensorPreview(NamedTuple):
    """A sensor's anomalous windows, those suppressed and the alerts, as it is and as it would be.

    ``rule`` is the one that would decide.
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
    """Return what two policies make of the same anomalous windows, one row a sensor, ordered by id.

    Only anomalous windows are known, so the normal ones between them are taken to have come at the sensor's usual
    interval. An alert that was open before the first of them counts as one.

    Parameters
    ----------
    anomalies
        Ordered by sensor and end.
    keys
        Names of their sensors, by id.
    profiles
        Reporting profiles; a sensor without one is assumed to report every window.
    in_force, proposed
        What alerts now, and what would.
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
        anomaly.suppressed if anomaly.suppressed.startswith(_WHATEVER_THE_RULES) else reason
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
    """Return the normal windows that can matter: the next n, and the last before ``before``, which may be quiet."""
    ends = [after + interval * i for i in range(1, rules.recent_windows + 1)]
    ends.append(after + interval * ((before - after - 1) // interval))
    return [ScoredWindow(end, 0.0, "normal", False) for end in sorted({end for end in ends if after < end < before})]


class PreviewStore(SensorStore, WatchStore, Protocol):
    """What a preview needs of the store."""


def preview_rules(
    *, store: PreviewStore, in_force: AlertPolicy, proposed: AlertPolicy, start: datetime, end: datetime
) -> list[SensorPreview]:
    """Return what two policies make of the stored anomalies with ``start < end of the window <= end``.

    They suffice: rules only ever hold back anomalous windows, and suppressed ones are stored too. Times are in UTC.
    """
    anomalies = store.anomalies_between(start, end)
    ids = {anomaly.sensor_id for anomaly in anomalies}
    keys = {sensor_id: status.key for sensor_id, status in store.sensors_by_id(ids).items()}
    return preview(anomalies, keys, store.reporting_profiles(ids), in_force, proposed)
