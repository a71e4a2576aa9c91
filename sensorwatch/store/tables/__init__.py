"""Tables, as the newest migration leaves them; a test compares both.

Names of devices and tags have at most 64 characters, which are at most 128 UTF-16 units. They are compared exactly: a
binary collation distinguishes upper and lower case, and the stored lengths distinguish names that differ in trailing
blanks, which SQL Server ignores in comparisons.

``SensorWindows`` has no foreign key to ``Sensors``, because it would cost a lookup for every window written, and ids
always come from ``Sensors``.
"""

from sensorwatch.store.tables.alerts import (
    alert_history,
    alert_states,
    alerts,
    anomalies,
    flat_progress,
    flat_runs,
    incidents,
    silences,
    tolerances,
)
from sensorwatch.store.tables.base import metadata
from sensorwatch.store.tables.catalogue import reporting_profiles, sensors, store_locks, store_settings
from sensorwatch.store.tables.labels import label_spans
from sensorwatch.store.tables.machines import machine_risks, machines
from sensorwatch.store.tables.outbox import deliveries, held_notifications, notification_sinks, notifications
from sensorwatch.store.tables.runs import published_files, runs, tasks
from sensorwatch.store.tables.serving import model_uses, refused_versions, served_windows, serving_partitions
from sensorwatch.store.tables.windows import ingest_partitions, rescore_windows, sensor_windows, shard_scoring

__all__ = [
    "REVISION",
    "alert_history",
    "alert_states",
    "alerts",
    "anomalies",
    "deliveries",
    "flat_progress",
    "flat_runs",
    "held_notifications",
    "incidents",
    "ingest_partitions",
    "label_spans",
    "machine_risks",
    "machines",
    "metadata",
    "model_uses",
    "notification_sinks",
    "notifications",
    "published_files",
    "refused_versions",
    "reporting_profiles",
    "rescore_windows",
    "runs",
    "sensor_windows",
    "sensors",
    "served_windows",
    "serving_partitions",
    "shard_scoring",
    "silences",
    "store_locks",
    "store_settings",
    "tasks",
    "tolerances",
]

REVISION = "0012"
"""Revision of the newest migration."""
