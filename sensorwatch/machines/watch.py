"""Alerts of components that keep warning; an alert clears when its component no longer warns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sensorwatch.alerts.handling import AlertFilter
from sensorwatch.machines.failure_risk import risk_changes, risk_episodes, risk_key, warnings_needed
from sensorwatch.machines.ports import MachineStore
from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sensorwatch.alerts.handling import HandledAlert
    from sensorwatch.alerts.policy import AlertPolicy
    from sensorwatch.alerts.records import Alert, AlertChanges
    from sensorwatch.sensors.records import SensorStatus

__all__ = ["WatchedMachines", "watch_machines"]

_LOOK_BACK_SECONDS = 60 * 86_400
_MOST_ALERTS = 100_000


class WatchedMachines(MachineStore, Protocol):
    """Methods of the store that watching machines uses."""

    def handled_alerts(self, wanted: AlertFilter, limit: int = 100) -> list[HandledAlert]:
        """Return the alerts that meet the conditions, newest first."""
        ...

    def settle_alerts(
        self, alert_ids: Collection[str], decide: Callable[[Mapping[str, Alert]], AlertChanges]
    ) -> tuple[int, int]:
        """As :meth:`sensorwatch.alerts.ports.NoDataStore.settle_alerts`."""
        ...

    def sensor_ids(self, keys: Collection[SensorKey]) -> dict[SensorKey, int]:
        """As :meth:`sensorwatch.ingestion.ports.IngestStore.sensor_ids`."""
        ...

    def sensors_by_id(self, sensor_ids: Collection[int]) -> dict[int, SensorStatus]:
        """As :meth:`sensorwatch.sensors.ports.SensorStore.sensors_by_id`."""
        ...


def watch_machines(
    first: int, last: int, scored_until: int, *, fewest: int, store: WatchedMachines, policy: AlertPolicy
) -> tuple[int, int]:
    """Open and clear the alerts of some machines; return the numbers of opened and cleared alerts.

    Repeating it changes nothing. A component with an alert is added to the catalogue of sensors, so that rules, muting
    and incidents apply to it.

    Parameters
    ----------
    first, last
        First and last machine id (both inclusive).
    scored_until
        Newest scored sample, in seconds since 1970-01-01T00:00:00Z.
    fewest
        Number of warnings that open an alert, unless a rule overrides it.
    store
        Store of machines, sensors and alerts.
    policy
        Alert rules, hours and downtime.
    """
    warnings = store.warnings_after(scored_until - _LOOK_BACK_SECONDS, first, last)
    episodes = risk_episodes([risk for risk in warnings if risk.end <= scored_until])
    named = {SensorKey(*risk_key(each.machine_id, each.component)): each for each in episodes}
    keys = {key: each for key, each in named.items() if len(each.warnings) >= warnings_needed(key, policy, fewest)}
    ids = store.sensor_ids(keys) if keys else {}
    by_sensor = {sensor_id: keys[key] for key, sensor_id in ids.items()}
    names = {sensor_id: key for key, sensor_id in ids.items()}
    open_ones = store.handled_alerts(AlertFilter(kind="failure-risk", unresolved=True), _MOST_ALERTS)
    known = store.sensors_by_id({each.alert.sensor_id for each in open_ones})
    wanted = {
        each.alert.alert_id
        for each in open_ones
        if first <= _machine_of(known[each.alert.sensor_id].key.device) <= last
    }
    wanted |= {f"{sensor_id}-failure-risk-{each.warnings[0].end}" for sensor_id, each in by_sensor.items()}
    if not wanted:
        return 0, 0

    def decide(stored: Mapping[str, Alert]) -> AlertChanges:
        return risk_changes(by_sensor, names, stored, policy, scored_until, fewest=fewest)

    return store.settle_alerts(wanted, decide)


def _machine_of(device: str) -> int:
    return int(device) if device.isdigit() else -1
