"""Windows of a fleet, written directly into the tables of a SQLite store."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.sensors.records import SensorKey

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sensorwatch.store import SqlStore

__all__ = ["WINDOW_SECONDS", "add_windows", "mixed_sensors"]

WINDOW_SECONDS = 5
_READINGS = 5
_INSERT = "INSERT INTO SensorWindows VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def mixed_sensors(n_sensors: int, n_windows: int, seed: int = 0) -> np.ndarray:
    """Return window means of sensors of ten kinds.

    Of every 20 sensors 8 are normal, 3 uniform and 3 autoregressive. One each has spikes, heavy tails, a constant
    value, integers, huge values and tiny values.

    Parameters
    ----------
    n_sensors, n_windows
        Number of rows and columns.
    seed
        Seed of the random numbers.

    Returns
    -------
    ndarray
        Shape ``(n_sensors, n_windows)``, float64.
    """
    random = np.random.default_rng(seed)
    noise = random.normal(size=(n_sensors, n_windows))
    values = 20 + 3 * noise
    kind = np.arange(n_sensors) % 20
    values[(kind >= 8) & (kind < 11)] = random.uniform(-1, 1, size=(((kind >= 8) & (kind < 11)).sum(), n_windows))
    walking = (kind >= 11) & (kind < 14)
    steps, walk = noise[walking], np.zeros((walking.sum(), n_windows))
    for i in range(1, n_windows):
        walk[:, i] = 0.9 * walk[:, i - 1] + steps[:, i]
    values[walking] = walk
    for row in np.flatnonzero(kind == 14):
        values[row] = 20 + noise[row]
        values[row, random.integers(0, n_windows, 3)] += random.normal(0, 40, 3)
    values[kind == 15] = random.standard_t(2, size=((kind == 15).sum(), n_windows))
    values[kind == 16] = 21.3
    values[kind == 17] = random.integers(0, 5, size=((kind == 17).sum(), n_windows))
    values[kind == 18] = 1e9 * (5 + noise[kind == 18])
    values[kind == 19] = 1e-9 * (5 + noise[kind == 19])
    return values


def add_windows(
    store: SqlStore, database: Path, *, sensors: int, shard_size: int, last: datetime, windows: int, seed: int = 0
) -> int:
    """Add windows to all sensors and return the number of rows.

    Rows are inserted by key, shard by shard, so that the tables are as after ingestion, but as compact as possible.

    Parameters
    ----------
    store, database
        The store and its SQLite file.
    sensors
        Number of sensors, which are created.
    shard_size
        Sensors per shard.
    last
        End of the newest window, in UTC.
    windows
        Number of windows per sensor.
    seed
        Seed of the random values.
    """
    store.sensor_ids([SensorKey(f"device-{i // 4:06d}", f"tag-{i % 4}") for i in range(sensors)])
    end = int(last.timestamp())
    ends = range(end - (windows - 1) * WINDOW_SECONDS, end + 1, WINDOW_SECONDS)
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        for first in range(0, sensors, shard_size):
            ids = list(range(first, min(first + shard_size, sensors)))
            columns = mixed_sensors(len(ids), windows, seed + first).T.copy()
            spread = np.abs(columns) * 1e-3
            connection.execute("BEGIN IMMEDIATE")
            for ts, mean, around in zip(ends, columns, spread, strict=True):
                total = mean * _READINGS
                connection.executemany(
                    _INSERT,
                    zip(
                        [first // shard_size] * len(ids),
                        [ts] * len(ids),
                        ids,
                        [_READINGS] * len(ids),
                        total.tolist(),
                        (mean - around).tolist(),
                        (mean + around).tolist(),
                        (total * mean).tolist(),
                        strict=True,
                    ),
                )
            connection.execute(
                "UPDATE Sensors SET LastWindow = ? WHERE SensorId BETWEEN ? AND ?", (end, ids[0], ids[-1])
            )
            connection.execute("COMMIT")
    finally:
        connection.close()
    return sensors * windows
