"""Reporting profiles: how often sensors usually report, and how long their values usually stay equal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.sensors.records import ReportingProfile

if TYPE_CHECKING:
    import numpy.typing as npt


__all__ = ["covered_seconds", "reporting_profiles"]

_USUAL_SHARE = 0.995
"""Share of the gaps between windows that count as usual; a single outage in the training range does not."""


def reporting_profiles(
    sensor_ids: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
) -> list[ReportingProfile]:
    """Return the reporting profile of every sensor that has at least two windows.

    Parameters
    ----------
    sensor_ids
        Sensors, shape ``(n_sensors,)``, int64.
    offsets
        Windows ``offsets[i]:offsets[i + 1]`` belong to sensor ``i``, shape ``(n_sensors + 1,)``, int64.
    times
        Ends of the windows in seconds since 1970-01-01T00:00:00Z, ascending for each sensor, shape ``(n_windows,)``,
        int64.
    values
        Means of the windows, shape ``(n_windows,)``, float64.

    Examples
    --------
    >>> ends = np.array([10, 15, 20, 30, 5, 10, 20])
    >>> values = np.array([1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 4.0])
    >>> for profile in reporting_profiles(np.array([7, 9]), np.array([0, 4, 7]), ends, values):
    ...     print(profile)
    ReportingProfile(sensor_id=7, interval_seconds=5, flat_seconds=5, gap_seconds=10)
    ReportingProfile(sensor_id=9, interval_seconds=8, flat_seconds=None, gap_seconds=10)
    """
    found = []
    steps = np.diff(times)
    for i, sensor_id in enumerate(sensor_ids.tolist()):
        first, last = int(offsets[i]), int(offsets[i + 1])
        if last - first < 2:
            continue
        interval = float(np.median(steps[first : last - 1]))
        gap = int(np.quantile(steps[first : last - 1], _USUAL_SHARE, method="higher"))
        own = values[first:last]
        changes = np.flatnonzero(own[1:] != own[:-1]) + 1
        flat = None
        if len(changes):
            begins = times[first + np.concatenate(([0], changes))]
            ends = times[first + np.concatenate((changes - 1, [last - first - 1]))]
            flat = int((ends - begins).max())
        found.append(ReportingProfile(sensor_id, max(1, int(np.ceil(interval))), flat, gap))
    return found


def covered_seconds(ends: npt.NDArray[np.int64], window_seconds: int) -> int:
    """Return the time that the windows of one sensor cover, whatever its usual interval.

    Each window covers the time since the one before it, or the longest usual gap if that is shorter: an outage is not
    covered. The first window covers the usual interval.

    Parameters
    ----------
    ends
        Ends of the windows in seconds since 1970-01-01T00:00:00Z, ascending, shape ``(n_windows,)``, int64.
    window_seconds
        Length of a window, in seconds; a single window covers this much.

    Examples
    --------
    >>> covered_seconds(np.arange(60, 3601, 60), 5)
    3600
    """
    if len(ends) < 2:
        return window_seconds * len(ends)
    steps = np.diff(ends)
    usual = np.quantile(steps, _USUAL_SHARE, method="lower")
    return int(np.minimum(steps, usual).sum() + np.median(steps))
