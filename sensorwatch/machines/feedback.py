"""Confirmed alerts of machines, as faults of their components."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sensorwatch.machines.failure_risk import risk_component
from sensorwatch.machines.fleet import COMPONENTS, ConfirmedFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sensorwatch.alerts.handling import Label
    from sensorwatch.config.machines import MachineSection
    from sensorwatch.machines.records import MachineInfo

__all__ = ["confirmed_faults"]

_KINDS = frozenset({"anomaly", "failure-risk"})


def confirmed_faults(
    labels: Iterable[Label], section: MachineSection, machines: Iterable[MachineInfo]
) -> tuple[ConfirmedFault, ...]:
    """Return the confirmed alerts of sensors whose device is a machine id, oldest first.

    Parameters
    ----------
    labels
        Judged alerts, oldest first.
    section
        Rules that map sensors to components, for alerts of anomalous windows. Alerts of risks name their component.
    machines
        Catalogue of machines.
    """
    known = {str(machine.machine_id) for machine in machines}
    return tuple(
        _fault(label, section)
        for label in labels
        if label.handled.handling.feedback == "confirmed"
        and label.handled.alert.kind in _KINDS
        and label.sensor.device in known
    )


def _fault(label: Label, section: MachineSection) -> ConfirmedFault:
    alert, handling = label.handled.alert, label.handled.handling
    component: str | None
    if alert.kind == "failure-risk":
        named = risk_component(label.sensor.tag)
        component = named if named in COMPONENTS else None
    else:
        component = section.component(label.sensor)
    # Old verdicts have no time; they count as given right after the alert.
    known_at = (
        alert.last_anomaly_end + 1 if handling.feedback_at is None else math.ceil(handling.feedback_at.timestamp())
    )
    # One second later, so that a sample at the end of the newest window is before the failure.
    time = min(alert.last_anomaly_end + 1, known_at)
    return ConfirmedFault(alert.alert_id, int(label.sensor.device), component, time, known_at)
