"""Model tables of a shard for the tests of registries."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from sensorwatch.models.table import MODEL_SCHEMA

__all__ = ["models"]


def models(*sensor_ids: int, end: int = 1000) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "sensor_id": sensor_id,
            "detector": "ocsvm",
            "state": "ready",
            "reason": "",
            "windows": 720,
            "training_start": end - 900,
            "training_end": end,
            "first_training_end": end,
            "version": "",
            "center": -1.0,
            "level": -0.2,
            "tail_share": 0.02,
            "scale": 0.5,
            "shape": 0.1,
            "threshold": 0.0,
        }
        for sensor_id in sensor_ids
    ]
    return pa.Table.from_pylist(rows, schema=MODEL_SCHEMA)
