"""The SQL store as a whole."""

from __future__ import annotations

from typing import Protocol

from sensorwatch.ports.alerts import AlertStore, LifecycleStore, OutboxStore, WatchStore
from sensorwatch.ports.ingestion import IngestStore, WindowStore
from sensorwatch.ports.labels import LabelStore
from sensorwatch.ports.machines import MachineStore
from sensorwatch.ports.pages import Pages
from sensorwatch.ports.runs import RunStore
from sensorwatch.ports.sensors import SensorFinder, SensorStore
from sensorwatch.ports.serving import ServingStore

__all__ = [
    "Store",
]


class Store(
    IngestStore,
    WindowStore,
    SensorStore,
    SensorFinder,
    RunStore,
    AlertStore,
    LifecycleStore,
    OutboxStore,
    WatchStore,
    LabelStore,
    ServingStore,
    Pages,
    MachineStore,
    Protocol,
):
    """The whole SQL store."""
