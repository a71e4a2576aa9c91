"""Downsampling of series for charts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["lttb", "min_max"]

_Floats = npt.NDArray[np.float64]
_Positions = npt.NDArray[np.int64]


def min_max(values: _Floats, points: int) -> _Positions:
    """Select the first and the last value of a series, and the extremes of its segments.

    The values between first and last are divided into ``(points - 2) // 2`` segments of nearly equal length. The first
    lowest and the first highest value of each segment are kept, so that no extreme of the series is lost.

    Parameters
    ----------
    values
        Values, shape ``(n,)``, float64, finite.
    points
        Maximum number of positions, at least 4. A series with at most so many values is kept as a whole.

    Returns
    -------
    numpy.ndarray
        Positions in ascending order, at most ``points``, int64.

    Raises
    ------
    ValueError
        ``points`` is less than 4.
    """
    if points < 4:
        raise ValueError(f"expected at least 4 points, got {points}")
    n = len(values)
    if n <= points:
        return np.arange(n)
    edges = np.linspace(1, n - 1, (points - 2) // 2 + 1).astype(np.int64)
    stretch = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    inner = values[1 : n - 1]
    found = [np.array([0, n - 1])]
    for extreme in (np.minimum.reduceat(inner, edges[:-1] - 1), np.maximum.reduceat(inner, edges[:-1] - 1)):
        hits = np.flatnonzero(inner == extreme[stretch])
        _, first = np.unique(stretch[hits], return_index=True)
        found.append(hits[first] + 1)
    return np.unique(np.concatenate(found))


def lttb(times: _Floats, values: _Floats, points: int) -> _Positions:
    """Select the points that preserve the shape of a series best.

    The method is Largest-Triangle-Three-Buckets (Sveinn Steinarsson, "Downsampling Time Series for Visual
    Representation", 2013). The values between first and last are divided into segments. Of each segment the point is
    kept that forms the largest triangle with the previously kept point and the mean of the next segment.

    Parameters
    ----------
    times, values
        Times in ascending order, and values; shape ``(n,)``, float64, finite.
    points
        Number of positions, at least 3. A series with at most so many values is kept as a whole.

    Returns
    -------
    numpy.ndarray
        Positions in ascending order, exactly ``points`` if the series has more values, int64.

    Raises
    ------
    ValueError
        ``points`` is less than 3.
    """
    if points < 3:
        raise ValueError(f"expected at least 3 points, got {points}")
    n = len(values)
    if n <= points:
        return np.arange(n)
    edges = np.linspace(1, n - 1, points - 1).astype(np.int64)
    sizes = np.diff(edges)
    mean_times = np.append(np.add.reduceat(times[1 : n - 1], edges[:-1] - 1) / sizes, times[-1])
    mean_values = np.append(np.add.reduceat(values[1 : n - 1], edges[:-1] - 1) / sizes, values[-1])
    chosen = np.empty(points, np.int64)
    chosen[0], chosen[-1] = 0, n - 1
    for i in range(points - 2):
        begin, end, before = edges[i], edges[i + 1], chosen[i]
        time, value = times[before], values[before]
        areas = np.abs(
            (time - mean_times[i + 1]) * (values[begin:end] - value)
            - (time - times[begin:end]) * (mean_values[i + 1] - value)
        )
        chosen[i + 1] = begin + np.argmax(areas)
    return chosen
