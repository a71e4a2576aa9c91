"""Ranges of windows to read for training the sensors of a shard.

The newest windows of a shard's sensors can be years apart (replayed data beside live data), and each sensor is trained
on its own last windows. Reading sensor by sensor would be slow, and one range from the oldest to the newest window
could be very long. So sensors whose newest windows are near each other are read together.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["TrainingRange", "training_ranges"]


class TrainingRange(NamedTuple):
    """Windows to read at once, and the sensors that need them.

    Attributes
    ----------
    start
        Exclusive start of the range (UTC).
    end
        Inclusive end of the range (UTC).
    sensor_ids
        Ids of the sensors, ascending.
    """

    start: datetime
    end: datetime
    sensor_ids: tuple[int, ...]


def training_ranges(newest: Mapping[int, datetime], training_seconds: int) -> list[TrainingRange]:
    """Return ranges that contain the last ``training_seconds`` of every sensor, oldest first; a sensor is in one range.

    A range is at most one and a half times ``training_seconds`` long.

    Parameters
    ----------
    newest
        End of each sensor's newest training window (UTC), by sensor id.
    training_seconds
        Length of a sensor's training range, in seconds up to its newest window.

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
