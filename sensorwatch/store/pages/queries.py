"""Queries of pages, keys of their last rows, and summaries that they show.

Ends of windows are in seconds since 1970-01-01T00:00:00Z. The ``after`` of a page is the key of the last row of the
previous page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sensorwatch.alerts.handling import AlertCondition
    from sensorwatch.alerts.records import Incident
    from sensorwatch.sensors.records import SensorKey

__all__ = [
    "MOST_WINDOWS",
    "AlertCounts",
    "AnomalyQuery",
    "EndKey",
    "IncidentSummary",
    "RiskKey",
    "RunKey",
    "ShardSize",
    "TopAlert",
]


MOST_WINDOWS = 4_000_000
"""Largest number of windows of one sensor that one query looks up."""


class EndKey(NamedTuple):
    """Key of an alert or incident: the end of the window that opened it, and its id."""

    end: int
    id: str


class RiskKey(NamedTuple):
    """Key of a machine: its highest risk, and its id."""

    risk: float
    machine_id: int


class RunKey(NamedTuple):
    """Key of a run: its time of creation (UTC), and its id."""

    created_at: datetime
    run_id: str


class ShardSize(NamedTuple):
    """A shard, and the number of its sensors."""

    shard: int
    sensors: int


@dataclass(frozen=True, slots=True)
class AnomalyQuery:
    """Conditions that anomalies must meet; None: no condition.

    Attributes
    ----------
    sensor_id
        Sensor.
    device, tag
        Exact names of the sensor.
    severity
        Severity.
    start, end
        Range: ``start < end of the window <= end``.
    suppressed
        True: only suppressed ones; False: only others.
    after
        (end, sensor id) of the last anomaly of the previous page.
    """

    sensor_id: int | None = None
    device: str | None = None
    tag: str | None = None
    severity: str | None = None
    start: int | None = None
    end: int | None = None
    suppressed: bool | None = None
    after: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """Numbers of alerts by state, and of unresolved alerts by severity."""

    conditions: Mapping[AlertCondition, int]
    severities: Mapping[str, int]


class TopAlert(NamedTuple):
    """One of the highest alerts of an incident, with the names of its sensor."""

    alert_id: str
    sensor_id: int
    sensor: SensorKey
    severity: str
    peak_score: float


@dataclass(frozen=True, slots=True)
class IncidentSummary:
    """An incident, and its ten highest alerts, ordered by descending peak score, then by time."""

    incident: Incident
    top: tuple[TopAlert, ...]
