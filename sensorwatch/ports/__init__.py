"""What the steps need from the outside, as protocols; the adapters beside ``steps`` implement them.

Every method that writes may be called again with the same arguments and then changes nothing more. Adapters translate
their SDK's errors: :class:`~sensorwatch.errors.TransientError` where trying again later may help,
:class:`~sensorwatch.errors.NotFoundError`, :class:`~sensorwatch.errors.ConflictError`.
"""

from sensorwatch.ports.alerts import AlertSink, AlertStore, LifecycleStore, OutboxStore, WatchStore
from sensorwatch.ports.clock import Clock
from sensorwatch.ports.ingestion import DeadLetters, IngestStore, RetentionStore, WindowStore
from sensorwatch.ports.labels import LabelStore
from sensorwatch.ports.machines import MachineData, MachineStore
from sensorwatch.ports.memories import Memories
from sensorwatch.ports.models import ModelRegistry, Pointer, PredictionFiles, PredictionWriter, WatchedRegistry
from sensorwatch.ports.pages import AlertPages, FleetPages, Pages, RunPages, SensorHistory
from sensorwatch.ports.runs import Pool, RunStore, TaskLogs
from sensorwatch.ports.sensors import SensorFinder, SensorStore
from sensorwatch.ports.serving import ServingStore
from sensorwatch.ports.store import Store

__all__ = [
    "AlertPages",
    "AlertSink",
    "AlertStore",
    "Clock",
    "DeadLetters",
    "FleetPages",
    "IngestStore",
    "LabelStore",
    "LifecycleStore",
    "MachineData",
    "MachineStore",
    "Memories",
    "ModelRegistry",
    "OutboxStore",
    "Pages",
    "Pointer",
    "Pool",
    "PredictionFiles",
    "PredictionWriter",
    "RetentionStore",
    "RunPages",
    "RunStore",
    "SensorFinder",
    "SensorHistory",
    "SensorStore",
    "ServingStore",
    "Store",
    "TaskLogs",
    "WatchStore",
    "WatchedRegistry",
    "WindowStore",
]
