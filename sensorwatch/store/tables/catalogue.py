"""Tables of the catalogue of sensors, and of the store's own settings and locks."""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.connection.types import UtcTime, WindowEnd
from sensorwatch.store.tables.base import metadata, name_type, partial_index

__all__ = [
    "reporting_profiles",
    "sensors",
    "store_locks",
    "store_settings",
]

store_settings = sa.Table(
    "StoreSettings",
    metadata,
    sa.Column("Name", sa.String(64), primary_key=True),
    sa.Column("Value", sa.String(200), nullable=False),
)


store_locks = sa.Table(
    "StoreLocks",
    metadata,
    sa.Column("Name", sa.String(64), primary_key=True),
    sa.Column("Taken", sa.BigInteger, nullable=False),
)


sensors = sa.Table(
    "Sensors",
    metadata,
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Shard", sa.Integer, nullable=False),
    sa.Column("Device", name_type(128), nullable=False),
    sa.Column("Tag", name_type(128), nullable=False),
    sa.Column("DeviceLength", sa.Integer, nullable=False),
    sa.Column("TagLength", sa.Integer, nullable=False),
    sa.Column("FirstSeen", UtcTime, nullable=False),
    sa.Column("LastWindow", WindowEnd),
    sa.Column("State", sa.String(16), nullable=False, server_default="no-data"),
    sa.Column("Reason", sa.Unicode(1000), nullable=False, server_default=""),
    sa.Column("TrainedUntil", WindowEnd),
    sa.Column("ModelVersion", sa.String(100), nullable=False, server_default=""),
    sa.Column("TrainFrom", WindowEnd),
    sa.UniqueConstraint("Device", "Tag", "DeviceLength", "TagLength", name="UQ_Sensors_Name"),
    sa.Index("IX_Sensors_Tag", "Tag"),
    partial_index("IX_Sensors_NotReady", "State", where="State <> 'ready'"),
    partial_index("IX_Sensors_TrainedUntil", "TrainedUntil", where="TrainedUntil IS NOT NULL"),
)


reporting_profiles = sa.Table(
    "SensorRhythms",
    metadata,
    sa.Column("SensorId", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("IntervalSeconds", sa.Integer, nullable=False),
    sa.Column("FlatSeconds", sa.Integer),
    sa.Column("GapSeconds", sa.Integer),
)
