"""Which windows to read for training the sensors of a shard.

Sensors of one shard can live in different times (a replay of an old year beside live data), and each is trained on the
last stretch of its own. Reading them one by one would be slow, reading everything from the oldest to the newest would
be endless: sensors that end near each other are read together.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["TrainingRange", "training_ranges"]


class TrainingRange(NamedTuple):
    """Windows to read once, ``start < end_of_window <= end`` (UTC), and the sensors they are read for, by id."""

    start: datetime
    end: datetime
    sensor_ids: tuple[int, ...]


def training_ranges(newest: Mapping[int, datetime], training_seconds: int) -> list[TrainingRange]:
    """Return the ranges that hold every sensor's last ``training_seconds``, oldest first, each sensor in one of them.

    A range is at most one and a half times ``training_seconds`` long.

    Parameters
    ----------
    newest
        End of each sensor's newest training window (UTC).
    training_seconds
        How far each sensor's training range goes back from there.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    >>> newest = {1: noon, 2: noon - timedelta(minutes=10), 3: noon - timedelta(days=3000)}
    >>> [found.sensor_ids for found in training_ranges(newest, 3600)]
    [(3,), (1, 2)]
    """
    length = timedelta(seconds=training_seconds)
    groups: list[list[int]] = []
    for sensor_id in sorted(newest, key=lambda sensor_id: (newest[sensor_id], sensor_id)):
        if groups and newest[sensor_id] - newest[groups[-1][0]] <= length / 2:
            groups[-1].append(sensor_id)
        else:
            groups.append([sensor_id])
    return [TrainingRange(newest[group[0]] - length, newest[group[-1]], tuple(sorted(group))) for group in groups]
