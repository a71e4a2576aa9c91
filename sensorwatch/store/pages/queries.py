"""What people browse page by page: queries, and where a page ended.

Ends of windows are in whole seconds since 1970-01-01T00:00:00Z; a page's ``after`` is the key of its last row.
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
    "WindowRange",
]


MOST_WINDOWS = 4_000_000
"""Windows of one sensor that are looked at for one answer."""


class EndKey(NamedTuple):
    """Where a page of alerts or incidents ended: the window that opened the last one, and its id."""

    end: int
    id: str


class RiskKey(NamedTuple):
    """Where a page of machines ended: the highest risk of the last one, and its id."""

    risk: float
    machine_id: int


class RunKey(NamedTuple):
    """Where a page of runs ended: when the last one was created (UTC), and its id."""

    created_at: datetime
    run_id: str


class ShardSize(NamedTuple):
    """A shard with the number of its sensors."""

    shard: int
    sensors: int


class WindowRange(NamedTuple):
    """Windows with ``start < end of the window <= end``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AnomalyQuery:
    """Which anomalies are wanted; None asks for nothing.

    Attributes
    ----------
    device, tag
        Names of the sensor, exactly.
    start, end
        ``start < end of the window <= end``.
    suppressed
        Only those that raised no alert, or only those that may have.
    after
        (end, sensor id) of the last one of the page before.
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
    """How many alerts stand where, and of those that are not resolved, how many have each severity that occurs."""

    conditions: Mapping[AlertCondition, int]
    severities: Mapping[str, int]


class TopAlert(NamedTuple):
    """One of the highest alerts of an incident, with its sensor's names."""

    alert_id: str
    sensor_id: int
    sensor: SensorKey
    severity: str
    peak_score: float


@dataclass(frozen=True, slots=True)
class IncidentSummary:
    """An incident, without its alerts, and the ten highest of them: by peak score, then by time."""

    incident: Incident
    top: tuple[TopAlert, ...]
