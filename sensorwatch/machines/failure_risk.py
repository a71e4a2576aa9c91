"""Alerts from the warnings of machines' components; pure functions.

An episode is a series of warnings of one component, at most one quiet period apart. With enough warnings it becomes an
alert, which clears when the component has not warned for a quiet period, up to the newest scored sample.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.alerts.records import Alert, AlertChanges, Notification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.machines.records import MachineRisk
    from sensorwatch.sensors.records import SensorKey

__all__ = [
    "QUIET_SECONDS",
    "RiskEpisode",
    "risk_changes",
    "risk_component",
    "risk_episodes",
    "risk_key",
    "warnings_needed",
]

QUIET_SECONDS = 86_400
"""Quiet period: longest time between two warnings of an episode, in seconds."""

_SEVERITIES = ((0.8, "critical"), (0.5, "high"), (0.0, "medium"))


_TAG = "failure risk of "


class RiskEpisode(NamedTuple):
    """Warnings of one component of a machine, ordered by time."""

    machine_id: int
    component: str
    warnings: tuple[MachineRisk, ...]


def risk_key(machine_id: int, component: str) -> tuple[str, str]:
    """Return the device and tag of a component's risk in the catalogue of sensors.

    Examples
    --------
    >>> risk_key(12, "comp2")
    ('12', 'failure risk of comp2')
    """
    return str(machine_id), f"{_TAG}{component}"


def risk_component(tag: str) -> str:
    """Return the component in a tag of :func:`risk_key`.

    Examples
    --------
    >>> risk_component("failure risk of comp2")
    'comp2'
    """
    return tag.removeprefix(_TAG)


def risk_episodes(warnings: Sequence[MachineRisk], quiet_seconds: int = QUIET_SECONDS) -> list[RiskEpisode]:
    """Return the newest episode of each machine and component.

    Parameters
    ----------
    warnings
        Warnings, ordered by time within a machine.
    quiet_seconds
        Longest time between two warnings of an episode.
    """
    newest: dict[tuple[int, str], list[MachineRisk]] = {}
    for risk in warnings:
        of_component = newest.setdefault((risk.machine_id, risk.component), [])
        if of_component and risk.end - of_component[-1].end > quiet_seconds:
            of_component.clear()
        of_component.append(risk)
    return [RiskEpisode(*key, tuple(risks)) for key, risks in newest.items()]


def warnings_needed(key: SensorKey, policy: AlertPolicy, fewest: int) -> int:
    """Return the number of warnings that open an alert.

    Parameters
    ----------
    key
        Device and tag of the component's risk.
    policy
        Alert rules; ``anomalous_windows`` of the matching rule overrides ``fewest``.
    fewest
        Number of warnings without a rule.
    """
    return policy.rule(key).anomalous_windows or fewest


def risk_changes(
    episodes: Mapping[int, RiskEpisode],
    keys: Mapping[int, SensorKey],
    stored: Mapping[str, Alert],
    policy: AlertPolicy,
    scored_until: int,
    *,
    fewest: int,
) -> AlertChanges:
    """Return the alerts to open, update and clear.

    Parameters
    ----------
    episodes
        Newest episode of each sensor, by sensor id; each has at least :func:`warnings_needed` warnings.
    keys
        Device and tag of the sensors of the episodes, by sensor id.
    stored
        Stored alerts of these episodes and open alerts of all scored sensors, by alert id.
    policy
        Alert rules, hours and downtime.
    scored_until
        Newest scored sample, in seconds since 1970-01-01T00:00:00Z.
    fewest
        Number of warnings that open an alert, unless a rule overrides it.
    """
    found: dict[str, Alert] = {}
    notifications: list[Notification] = []
    still: set[str] = set()
    for sensor_id, episode in episodes.items():
        alert = _alert(sensor_id, episode, warnings_needed(keys[sensor_id], policy, fewest))
        running = next((each for each in stored.values() if _continues(each, alert)), None)
        if running is not None:
            # If the beginning of an episode is outside the range, its alert keeps the stored id.
            alert = replace(alert, alert_id=running.alert_id, opened_end=running.opened_end)
        elif policy.suppressed_now(keys[sensor_id], alert.last_anomaly_end):
            continue
        before = stored.get(alert.alert_id)
        over_at = alert.last_anomaly_end + QUIET_SECONDS
        if before is None and scored_until >= over_at:
            # The episode was over before it was first scored, so a warning would be too late.
            continue
        if before is not None and before.cleared_end is not None:
            continue
        still.add(alert.alert_id)
        if before is None:
            notifications.append(Notification.opened(alert))
        if scored_until >= over_at:
            alert = replace(alert, cleared_end=over_at)
            notifications.append(Notification.cleared(alert))
        if alert != before:
            found[alert.alert_id] = alert
    for alert in stored.values():
        if alert.cleared_end is None and alert.alert_id not in still:
            over = replace(alert, cleared_end=max(alert.last_anomaly_end + QUIET_SECONDS, alert.opened_end))
            found[over.alert_id] = over
            notifications.append(Notification.cleared(over))
    return AlertChanges(states=(), alerts=list(found.values()), notifications=notifications)


def _continues(open_alert: Alert, alert: Alert) -> bool:
    same = open_alert.sensor_id == alert.sensor_id and open_alert.cleared_end is None
    return same and alert.opened_end <= open_alert.last_anomaly_end + QUIET_SECONDS


def _alert(sensor_id: int, episode: RiskEpisode, fewest: int) -> Alert:
    warnings = episode.warnings
    peak = max(warnings, key=lambda risk: risk.risk)
    return Alert(
        alert_id=f"{sensor_id}-failure-risk-{warnings[0].end}",
        sensor_id=sensor_id,
        opened_end=warnings[fewest - 1].end,
        last_anomaly_end=warnings[-1].end,
        cleared_end=None,
        anomalies=len(warnings),
        peak_score=round(100 * peak.risk, 2),
        severity=next(name for least, name in _SEVERITIES if peak.risk >= least),
        kind="failure-risk",
        peak_value=peak.risk,
        expected_low=None,
        expected_high=peak.threshold,
        model_version=peak.model_version,
    )
