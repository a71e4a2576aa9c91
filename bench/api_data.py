"""Rows of a large fleet, written directly into SQLite, for the measurement of the API's lists."""

from __future__ import annotations

import random
import sqlite3
from itertools import islice
from typing import TYPE_CHECKING

from sensorwatch.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["END", "SHARD_SIZE", "WINDOW_SECONDS", "seed"]

END = 1_795_169_700
"""End of the newest window, 2026-11-20T10:15:00Z, in seconds since 1970."""

SHARD_SIZE = 1000
WINDOW_SECONDS = 5
_TAGS = 10
_SEVERITIES = ("low",) * 60 + ("medium",) * 25 + ("high",) * 13 + ("critical",) * 2
_BATCH = 50_000
_COLUMNS = {
    "Sensors": "SensorId Shard Device Tag DeviceLength TagLength FirstSeen LastWindow State Reason TrainedUntil "
    "ModelVersion",
    "Anomalies": "SensorId TS Value Score Severity ExpectedLow ExpectedHigh ModelVersion TrainingStart TrainingEnd "
    "Suppressed",
    "Alerts": "AlertId SensorId OpenedEnd LastAnomalyEnd ClearedEnd Anomalies PeakScore Severity Kind PeakValue "
    "ExpectedLow ExpectedHigh ModelVersion TrainingStart TrainingEnd GroupName IncidentId AcknowledgedBy",
    "Runs": "RunId Kind WindowEnd CreatedAt Submitted EndedAt",
    "Incidents": "IncidentId GroupName FirstEnd LastEnd ClosedEnd Alerts PeakScore Severity",
    "SensorWindows": "Shard TS SensorId Readings Total Minimum Maximum SumOfSquares",
}


def seed(file: Path, *, sensors: int, anomalies: int, alerts: int, windows: int, runs: int = 20_000) -> None:
    """Create the database.

    Sensors are named ``device-0 … tag-9``, ten per device, in shards of 1,000. Anomalies and alerts are spread over the
    sensors and over a month.

    Parameters
    ----------
    file
        Database file.
    sensors, anomalies, alerts, runs
        Number of rows.
    windows
        Number of windows of the first sensor; nine other sensors of its shard have as many.
    """
    open_store(f"sqlite:///{file}", shard_size=SHARD_SIZE).dispose()
    rng = random.Random(7)
    with sqlite3.connect(file, isolation_level=None) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        _insert(connection, "Sensors", _sensors(sensors, rng))
        _insert(connection, "Anomalies", _anomalies(sensors, anomalies, rng))
        _insert(connection, "Alerts", _alerts(sensors, alerts, rng))
        _insert(connection, "Runs", _runs(runs))
        _insert(connection, "Incidents", _incidents(alerts // 20))
        _insert(connection, "SensorWindows", _windows(windows))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    names = _COLUMNS[table].split()
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        connection.executemany(statement, batch)


def _sensors(count: int, rng: random.Random) -> Iterator[tuple[object, ...]]:
    for i in range(count):
        device, tag = f"device-{i // _TAGS}", f"tag-{i % _TAGS}"
        state = rng.choices(("ready", "warming", "failed", "stale"), (90, 6, 1, 3))[0]
        trained = END - rng.randrange(86_400) if state in ("ready", "stale") else None
        version = "20261120T010000Z-0123456789abcdef" if trained else ""
        last = END - rng.randrange(0, 7200, WINDOW_SECONDS)
        first_seen = (END - 30 * 86_400) * 1_000_000
        yield (
            *(i, i // SHARD_SIZE, device, tag, len(device), len(tag), first_seen, last, state),
            *("" if state == "ready" else "why", trained, version),
        )


def _anomalies(sensors: int, count: int, rng: random.Random) -> Iterator[tuple[object, ...]]:
    for i in range(count):
        end = END - WINDOW_SECONDS * (i % 518_400)
        severity = rng.choice(_SEVERITIES)
        suppressed = "maintenance" if rng.random() < 0.02 else ""
        yield (i * 7919 % sensors, end, 20.0, 80.0, severity, 1.0, 9.0, "v1", end - 86_400, end - 60, suppressed)


def _alerts(sensors: int, count: int, rng: random.Random) -> Iterator[tuple[object, ...]]:
    for i in range(count):
        sensor, opened = i * 7919 % sensors, END - i * 50
        cleared = None if i % 10 == 0 else opened + 600
        kind = rng.choices(("anomaly", "no-data", "flatline"), (90, 7, 3))[0]
        yield (
            *(f"{sensor}-{opened}", sensor, opened, opened + 300, cleared, 5, 90.0, rng.choice(_SEVERITIES), kind),
            *(20.0, 1.0, 9.0, "v1", opened - 86_400, opened - 60, f"device-{sensor // _TAGS}"),
            *(f"incident-{i // 20}", "anna" if i % 40 == 0 else None),
        )


def _runs(count: int) -> Iterator[tuple[object, ...]]:
    for i in range(count):
        at = (END - i * 300) * 1_000_000
        kind = "train" if i % 288 == 0 else "score"
        yield (f"{kind}-{i:08d}", kind, at, at, 1, at + 60_000_000)


def _incidents(count: int) -> Iterator[tuple[object, ...]]:
    for i in range(count):
        first = END - i * 1000
        yield (f"incident-{i}", f"device-{i}", first, first + 300, first + 900, 20, 90.0, "high")


def _windows(count: int) -> Iterator[tuple[object, ...]]:
    first = END - (count - 1) * WINDOW_SECONDS
    for i in range(count):
        for sensor in range(10):
            yield (0, first + i * WINDOW_SECONDS, sensor, 5, 100.0 + (i * 31 % 997) / 10, 19.0, 21.0, 2000.0)
