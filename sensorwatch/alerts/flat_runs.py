"""Records of the flatline rule: runs of windows with equal values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sensorwatch.alerts.records import Alert, AlertChanges
    from sensorwatch.sensors.records import ReportingProfile

__all__ = ["FlatChanges", "FlatProgress", "FlatRun"]


class FlatRun(NamedTuple):
    """A sensor's equal windows, the first of which ended at ``since``; ``alert_id`` if they raised an alert."""

    sensor_id: int
    value: float
    since: int
    alert_id: str | None


@dataclass(frozen=True, slots=True)
class FlatProgress:
    """Stored progress of the flatline rule for some sensors of one shard.

    Attributes
    ----------
    until
        End of the newest processed window in seconds since 1970-01-01T00:00:00Z; None before the first.
    runs
        Runs of equal windows, by sensor.
    profiles
        Reporting profiles, by sensor.
    alerts
        Alerts of the runs, by id.
    """

    until: int | None
    runs: Mapping[int, FlatRun]
    profiles: Mapping[int, ReportingProfile]
    alerts: Mapping[str, Alert]


@dataclass(frozen=True, slots=True)
class FlatChanges:
    """Changes that the windows of a prediction file make.

    Attributes
    ----------
    until
        End of the newest processed window.
    runs
        Runs that are new or changed.
    ended
        Sensors whose run has ended.
    alerts
        Alerts that were opened and cleared.
    """

    until: int | None
    runs: Sequence[FlatRun]
    ended: Sequence[int]
    alerts: AlertChanges
