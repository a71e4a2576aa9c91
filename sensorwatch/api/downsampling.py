"""Fewer points of a series that look the same in a chart: pure, on columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["lttb", "min_max"]

_Floats = npt.NDArray[np.float64]
_Positions = npt.NDArray[np.int64]


def min_max(values: _Floats, points: int) -> _Positions:
    """Return the positions of a series' first and last value and of the extremes of its stretches.

    The series between first and last is cut into ``(points - 2) // 2`` stretches of nearly the same length; of each
    the first of its lowest and the first of its highest values stay. So no extreme of the series is lost.

    Parameters
    ----------
    values
        Shape ``(n,)``, finite.
    points
        At least 4. A series of no more than that stays whole.

    Returns
    -------
    numpy.ndarray
        Positions in rising order, at most ``points`` of them.

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
    """Return the positions of the points that a line through the series can least do without.

    Largest-Triangle-Three-Buckets, by Sveinn Steinarsson, "Downsampling Time Series for Visual Representation" (2013):
    of each stretch between first and last stays the point that makes the largest triangle with the one chosen before
    it and the mean of the stretch after it.

    Parameters
    ----------
    times, values
        Shape ``(n,)``, finite; times rise.
    points
        At least 3. A series of no more than that stays whole.

    Returns
    -------
    numpy.ndarray
        Positions in rising order, exactly ``points`` of them where the series has more.

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
