"""Sensors that fall silent raise alerts, which clear when they report again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sensorwatch.alerting.silence import silence_changes, silent_alerts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sensorwatch.alerting.policy import AlertPolicy
    from sensorwatch.ports import WatchStore
    from sensorwatch.records import Alert, AlertChanges

__all__ = ["SilenceOutcome", "watch_silence"]


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
