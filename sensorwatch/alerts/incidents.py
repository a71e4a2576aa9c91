"""Grouping of alerts into incidents. Pure.

Alerts of one group (a device, or the site in its name) that open at about the same time form one incident, which is
notified once. The first alerts of a group are notified one by one, because it is not known yet whether more will
follow. As soon as ``IncidentRules.sensors`` sensors have alerts, the incident opens, and alerts that join it are not
notified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from sensorwatch.alerts.records import Incident

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sensorwatch.alerts.records import Alert, IncidentRules

__all__ = ["TOP_ALERTS", "Grouping", "group_alerts", "group_of", "summarize"]

TOP_ALERTS = 10
"""Number of alerts that an incident lists."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Result of grouping.

    Attributes
    ----------
    incidents
        Incidents that are new or changed.
    joined
        Incident id of every alert that joined an incident, by alert id.
    opened
        Ids of the new incidents.
    """

    incidents: Sequence[Incident]
    joined: Mapping[str, str]
    opened: frozenset[str]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def group_of(device: str, rules: IncidentRules) -> str:
    """Return the group of a device: its site, or the device itself.

    Examples
    --------
    >>> from sensorwatch.alerts.records import IncidentRules
    >>> group_of("berlin-press-7", IncidentRules(site_pattern="^([a-z]+)-")), group_of("7", IncidentRules())
    ('berlin', '7')
    """
    found = _compiled(rules.site_pattern).search(device) if rules.site_pattern else None
    if found is None:
        return device
    return (found.group(1) or "") if found.re.groups else found.group()


def group_alerts(
    opened: Mapping[str, Iterable[Alert]],
    loose: Mapping[str, Iterable[Alert]],
    incidents: Mapping[str, Collection[Incident]],
    rules: IncidentRules,
) -> Grouping:
    """Add new alerts to open incidents, or form new incidents.

    Parameters
    ----------
    opened
        New alerts, by group.
    loose
        Open alerts without an incident, by group.
    incidents
        Open incidents, by group.
    rules
        Largest distance between alerts, and number of sensors of an incident.
    """
    changed: dict[str, Incident] = {}
    joined: dict[str, str] = {}
    made: set[str] = set()
    for group, alerts in opened.items():
        known = {incident.incident_id: incident for incident in incidents.get(group, ())}
        alone = {alert.alert_id: alert for alert in loose.get(group, ())}
        for alert in sorted(alerts, key=_by_opening):
            incident = next((each for each in known.values() if _near(alert, each, rules)), None)
            if incident is not None:
                members: list[Alert] = [alert]
            else:
                alone[alert.alert_id] = alert
                members = _around(alert, alone.values(), rules)
                if len({each.sensor_id for each in members}) < rules.sensors:
                    continue
                incident = _new(group, members)
                made.add(incident.incident_id)
            for member in members:
                alone.pop(member.alert_id, None)
                joined[member.alert_id] = incident.incident_id
            changed[incident.incident_id] = known[incident.incident_id] = _with(incident, members)
    return Grouping(list(changed.values()), joined, frozenset(made))


def summarize(incident: Incident, alerts: Iterable[Alert]) -> Incident:
    """Return the incident with its highest alerts (``top``), ordered by descending peak score, then by time."""
    top = sorted(alerts, key=lambda alert: (-alert.peak_score, *_by_opening(alert)))[:TOP_ALERTS]
    if not top:
        return incident
    return replace(incident, top=tuple(top), peak_score=top[0].peak_score, severity=top[0].severity)


def _by_opening(alert: Alert) -> tuple[int, str]:
    return alert.opened_end, alert.alert_id


def _near(alert: Alert, incident: Incident, rules: IncidentRules) -> bool:
    return incident.first_end - rules.seconds <= alert.opened_end <= incident.last_end + rules.seconds


def _around(alert: Alert, others: Iterable[Alert], rules: IncidentRules) -> list[Alert]:
    """Return the alerts, including this one, that opened at most ``rules.seconds`` before or after it."""
    near = (each for each in others if abs(each.opened_end - alert.opened_end) <= rules.seconds)
    return sorted(near, key=_by_opening)


def _new(group: str, members: Sequence[Alert]) -> Incident:
    first = members[0]
    return Incident(
        incident_id=f"incident-{first.alert_id}",
        group=group,
        first_end=first.opened_end,
        last_end=first.opened_end,
        closed_end=None,
        alerts=0,
        peak_score=first.peak_score,
        severity=first.severity,
    )


def _with(incident: Incident, members: Sequence[Alert]) -> Incident:
    highest = max(members, key=lambda alert: alert.peak_score)
    higher = highest.peak_score > incident.peak_score
    return replace(
        incident,
        first_end=min(incident.first_end, *(member.opened_end for member in members)),
        last_end=max(incident.last_end, *(member.opened_end for member in members)),
        alerts=incident.alerts + len(members),
        peak_score=highest.peak_score if higher else incident.peak_score,
        severity=highest.severity if higher else incident.severity,
    )
