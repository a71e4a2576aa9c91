"""Table of imported labels."""

from __future__ import annotations

import sqlalchemy as sa

from sensorwatch.store.connection.types import WindowEnd
from sensorwatch.store.tables.base import metadata

__all__ = [
    "label_spans",
]

label_spans = sa.Table(
    "LabelSpans",
    metadata,
    sa.Column(
        "SensorId",
        sa.Integer,
        sa.ForeignKey("Sensors.SensorId", name="FK_LabelSpans_Sensors"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("FirstEnd", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("LastEnd", WindowEnd, primary_key=True, autoincrement=False),
    sa.Column("Anomalous", sa.Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
